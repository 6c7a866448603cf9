"""Compare artifact files, whoever made them, and judge them: the work of `mbexport verify`."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.errors import DataError, OptionError
from mbexport.fingerprint import library_versions
from mbexport.formats.classifier import Classifier
from mbexport.formats.contents import recognize
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.models.data.open import DataSet
from mbexport.models.data.readable import ReadableSets, UnreadableImages, drop_unreadable
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.pipeline.plan import DIGITS_CROP, PHOTO_CROP
from mbexport.pipeline.publish import report_files
from mbexport.progress import Progress
from mbexport.report.content import Json, preprocess_json, report_json, to_bytes, unreadable_json
from mbexport.verify.classification.baseline import Baseline
from mbexport.verify.classification.measure import Asked, measure_all, require_different_names
from mbexport.verify.gates import NetworkFacts, default_limits, gate_values
from mbexport.verify.judge import judge
from mbexport.workdir import Workdir


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is to be compared with what, and how; without a `reference`, with the first fp32 file.

    `normalization` is what files expect that do not say; without a `crop_fraction` it is the data's usual one.
    """

    files: tuple[Path, ...]
    limits: Mapping[str, float]
    reference: Path | None = None
    crop_fraction: float | None = None
    normalization: Normalization | None = None
    background: bool = False
    max_bad: float = 0.0
    strict: bool = False
    latency: bool = True
    seed: int = 0
    threads: int = 1


def verify_files(inquiry: Inquiry, data: DataSet, *, out: Path | None, progress: Progress) -> Json:
    """The report on the files of `inquiry`, compared on `data`; written into `out`, if there is one.

    Raises `DataError` for a file or an image that cannot be used, before anything is measured.
    """
    with Workdir.open(out) if out is not None else nullcontext() as workdir:
        runners = [open_runner(path) for path in inquiry.files]  # each runs on a core of its own
        require_different_names(runners)
        judge_by = _reference(inquiry, runners)
        classes = _classes(judge_by, data, background=inquiry.background)
        usual = PHOTO_CROP if data.is_photos else DIGITS_CROP
        pixels = Preprocess(
            resolution_px=judge_by.resolution_px,
            crop_fraction=usual if inquiry.crop_fraction is None else inquiry.crop_fraction,
            channels=judge_by.channels,
        )
        told: dict[str, Any] = {"given": inquiry.normalization, "background": inquiry.background, "classes": classes}
        reference = match(judge_by, pixels=pixels, **told)
        subjects = [match(runner, pixels=pixels, **told) for runner in runners]
        readable = _readable(data, inquiry.seed, max_bad=inquiry.max_bad)
        progress.start("verify")
        asked = Asked(labels=data.class_names, threads=inquiry.threads, is_timed=inquiry.latency, seed=inquiry.seed)
        found = measure_all(subjects, readable.sets[0], pixels, Baseline.of(reference), asked, progress=progress)
        defaults = default_limits(_network_facts(reference, found.measured))
        gates = judge(gate_values(found.measured), inquiry.limits, defaults=defaults, strict=inquiry.strict)
        about = _about(reference, data, readable)
        content = to_bytes(report_json(found.measured, gates, about, strict=inquiry.strict))
        if workdir is not None:
            for name, form in report_files(content, found.pictures).items():
                workdir.write(name, form)
    loaded: Json = json.loads(content)
    return loaded


def _reference(inquiry: Inquiry, runners: list[Runner]) -> Runner:
    """What was asked for, or the first fp32 file."""
    if inquiry.reference is not None:
        return open_runner(inquiry.reference)
    for runner in runners:
        if runner.precision is Precision.FP32:
            # One of its own: an artifact is never in two threads at once.
            return open_runner(runner.path)
    raise DataError("a comparison must have a reference: give --reference or an fp32 file, got int8 files only")


def _classes(reference: Runner, data: DataSet, *, background: bool) -> int:
    """The number of scores that are compared."""
    known = len(data.class_names)
    found = Classifier(reference).classes
    if found != known + 1:
        return found
    if not background:
        raise DataError(
            f"{reference.path} must give a score for each of {known} classes, got {known + 1}: --background leaves out "
            "the first, if that is of no class"
        )
    return known


def _network_facts(reference: Subject, measured: Json) -> NetworkFacts:
    """What the files themselves tell of the network."""
    px = reference.runner.resolution_px
    floats = [entry for entry in measured["artifacts"] if entry["precision"] == Precision.FP32]
    times = [entry["latency_ms"]["p50"] for entry in floats if entry["latency_ms"]["p50"] is not None]
    size = max((entry["size_bytes"] for entry in floats), default=None)
    network = NetworkFacts(resolution_px=px, fp32_bytes=size)
    recognized = recognize(reference.runner)
    if recognized is not None:
        architecture, alpha = recognized
        network = replace(network, family=architecture.name, alpha=alpha)
        try:
            total = architecture.cost(architecture.spec(alpha=alpha, resolution_px=px, classes=reference.classes))
        except OptionError:  # a side that we do not build
            pass
        else:
            network = NetworkFacts.of_parameters(
                family=architecture.name,
                alpha=alpha,
                resolution_px=px,
                mult_adds=total.mult_adds,
                parameters=total.parameters,
            )
    return replace(network, fp32_bytes=size or network.fp32_bytes, fp32_ms=min(times, default=None))


def _about(reference: Subject, data: DataSet, readable: ReadableSets) -> dict[str, Json]:
    return {
        "tool": {"name": "mbexport", "version": __version__, "libraries": library_versions()},
        "model": {
            "reference": reference.name,
            "resolution_px": reference.runner.resolution_px,
            "classes": reference.classes,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            **preprocess_json(reference.preprocess),
            "unreadable": unreadable_json(readable.bad),
        },
    }


def _readable(data: DataSet, seed: int, *, max_bad: float) -> ReadableSets:
    images = data.evaluation(seed)
    findings = None if data.is_photos else UnreadableImages(unreadable=({},))  # digits lie in no files of their own
    return drop_unreadable([images], max_bad=max_bad, unreadable=findings)
