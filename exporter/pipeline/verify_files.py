"""Compare artifact files, whoever made them, on labelled images: the work of `mbexport verify`."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.errors import DataError, OptionError
from mbexport.fingerprint import library_versions
from mbexport.formats.classifier import Classifier
from mbexport.formats.contents import recognize
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner, require_different_names
from mbexport.formats.subject import Subject
from mbexport.models.data.open import DataSet
from mbexport.models.data.readable import ReadableSets, UnreadableImages, drop_unreadable
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.pipeline.plan import DIGITS_CROP, PHOTO_CROP
from mbexport.pipeline.publish import report_files
from mbexport.progress import Progress
from mbexport.report.content import Json, preprocess_json, report_json, to_bytes, unreadable_json
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.measure import MeasureOptions, measure_all
from mbexport.verification.gates import NetworkFacts, default_limits, gate_values
from mbexport.verification.judge import judge
from mbexport.workdir import Workdir


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """The files to compare, with what, and how; without a `reference`, the first fp32 file is the reference.

    `normalization` is that of files that do not say what they expect; without a `crop_fraction` the usual one of the
    data is taken.
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


def verify_files(options: VerifyOptions, data: DataSet, *, out: Path | None, progress: Progress) -> Json:
    """The report on the files of `options`, compared on `data`; also written to the folder `out` if one is given.

    Raises `DataError` for a file or an image that cannot be used, before anything is measured.
    """
    with Workdir.open(out) if out is not None else nullcontext() as workdir:
        subjects, reference, pixels = _matched(options, data)
        readable = _readable(data, options.seed, max_bad=options.max_bad)
        progress.start("verify")
        how = MeasureOptions(
            labels=data.class_names, threads=options.threads, is_timed=options.latency, seed=options.seed
        )
        found = measure_all(subjects, readable.sets[0], pixels, Baseline.of(reference), how, progress=progress)
        defaults = default_limits(_network_facts(reference, found.measured))
        gates = judge(gate_values(found.measured), options.limits, defaults=defaults, strict=options.strict)
        facts = _report_facts(reference, data, readable)
        content = to_bytes(report_json(found.measured, gates, facts, strict=options.strict))
        if workdir is not None:
            for name, file in report_files(content, found.pictures).items():
                workdir.write(name, file)
    loaded: Json = json.loads(content)
    return loaded


def _matched(options: VerifyOptions, data: DataSet) -> tuple[list[Subject], Subject, Preprocess]:
    """The files and the reference, each with how it is fed and read, and how images are cropped and resized."""
    runners = [open_runner(path) for path in options.files]  # each runs on a core of its own
    require_different_names(runners)
    reference = _reference(options, runners)
    classes = _classes(reference, data, background=options.background)
    usual = PHOTO_CROP if data.is_photos else DIGITS_CROP
    pixels = Preprocess(
        resolution_px=reference.resolution_px,
        crop_fraction=usual if options.crop_fraction is None else options.crop_fraction,
        channels=reference.channels,
    )
    subject, *subjects = (
        match(runner, pixels=pixels, given=options.normalization, background=options.background, classes=classes)
        for runner in (reference, *runners)
    )
    return subjects, subject, pixels


def _reference(options: VerifyOptions, runners: list[Runner]) -> Runner:
    """The file of --reference, or the first fp32 file."""
    if options.reference is not None:
        return open_runner(options.reference)
    for runner in runners:
        if runner.precision is Precision.FP32:
            # Opened again: an artifact is never in two threads at once.
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
    """What the files themselves show of the network."""
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


def _report_facts(reference: Subject, data: DataSet, readable: ReadableSets) -> dict[str, Json]:
    """The report's part on the tool, the model and the data."""
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
