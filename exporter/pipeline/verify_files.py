"""Compare artifact files, whoever made them, on labelled images: the work of `mbexport verify`."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mbexport.errors import DataError, OptionError
from mbexport.formats.chosen_paths import require_paths_fit
from mbexport.formats.classifier import Classifier
from mbexport.formats.contents import recognize
from mbexport.formats.detector import is_detector
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner, give_distinct_names
from mbexport.formats.subject import Source, Subject
from mbexport.formats.trial import require_harmless
from mbexport.models.architectures import architecture_of
from mbexport.models.data.open import DataSet, ImageSet
from mbexport.models.preprocess import RAW_NAME, Preprocess
from mbexport.models.task import Task
from mbexport.pipeline.conventions import tried_conventions
from mbexport.pipeline.output_place import require_apart
from mbexport.pipeline.publish import VERDICTS, add, report_files, require_room
from mbexport.pipeline.usual import usual_of
from mbexport.pipeline.verify_options import (
    VerifyOptions,
    network_of_files,
    readable_of,
    reference_of,
    report_facts,
)
from mbexport.pipeline.verify_parts import LOOK, Part, Parts, findings_in, leave, leave_look
from mbexport.progress import Progress
from mbexport.report.content import Json, report_json, to_bytes
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.collect import collect
from mbexport.verification.classification.measure import MeasureOptions, measure_all
from mbexport.verification.gates import NetworkFacts, check_limits
from mbexport.verification.judge import judge_files
from mbexport.workdir import Workdir


def verify_files(
    options: VerifyOptions,
    data: DataSet,
    *,
    out: Path | None,
    progress: Progress,
    force: bool = False,
    parts: Parts | None = None,
) -> Json:
    """The report on the files of `options`, compared on `data`; also written to the folder `out` if one is given.

    With `parts` the images are looked at and answered in other processes, and the report is the same.
    Files there that are not an earlier report of ours are replaced with `force` only. Raises `DataError` for a file or
    an image that cannot be used, `OutputError` for an `out` that cannot, both before anything is measured.
    """
    check_limits(options.limits)
    require_paths_fit(options.paths.names, options.files)
    if out is not None:
        require_apart(out, data)
    with Workdir.open(out) if out is not None else nullcontext() as workdir:
        if workdir is not None:
            require_room(workdir, VERDICTS, force=force, adds=True)
        subjects, reference, pixels = _matched(options, data)
        known = reference or subjects[0]
        progress.start("verify")
        looked = (
            None if parts is None or not data.is_photos else parts.look(data.evaluation(options.seed), progress.step)
        )
        readable = readable_of(data, options.seed, max_bad=options.max_bad, looked=looked)
        how = MeasureOptions(
            labels=data.class_names,
            threads=options.threads,
            is_timed=options.latency,
            seed=options.seed,
            paths=options.paths,
        )
        found = measure_all(
            subjects,
            readable.distinct[0],
            pixels,
            _baseline(reference, known, data),
            how,
            collect=collect if parts is None else parts.collect,
            progress=progress,
        )
        network = _network_facts(known, found.measured)
        gates = judge_files(found.measured, network, options.limits, strict=options.strict)
        facts = {
            **report_facts(known, data, readable, classes=known.classes, is_reference=reference is not None),
            "tried_normalizations": _tried(known, readable.sets[0], pixels, seed=options.seed),
        }
        content = to_bytes(report_json(found.measured, gates, facts, strict=options.strict))
        if workdir is not None:
            add(workdir, report_files(content, found.pictures), force=force)
    loaded: Json = json.loads(content)
    return loaded


def verify_part(options: VerifyOptions, data: DataSet, part: Part, folder: Path, *, progress: Progress) -> None:
    """Do one part of the work of `verify_files`, and leave its result in the folder."""
    progress.start(part.kind)
    if part.kind == LOOK:
        leave_look(folder, part, data.evaluation(options.seed))
        return
    subjects, reference, pixels = _matched(options, data)
    give_distinct_names([subject.runner for subject in subjects])
    looked = findings_in(folder) if data.is_photos else None
    readable = readable_of(data, options.seed, max_bad=options.max_bad, looked=looked)
    images = readable.distinct[0]
    answered = collect(
        subjects,
        images.subset(np.array(part.places(len(images)), np.int64)),
        pixels,
        reference=_baseline(reference, reference or subjects[0], data),
        on_step=progress.step,
    )
    leave(folder, part.file, answered.to_bytes())


def _tried(known: Subject, images: ImageSet, pixels: Preprocess, *, seed: int) -> Json | None:
    """How well other conventions do, where a Keras network that rescales its input was taken to mean bytes."""
    if known.source is not Source.MODEL:
        return None
    return tried_conventions(
        lambda fed, batch: known.scores(replace(known, preprocess=fed).raw(batch)),
        images,
        pixels,
        rescaling=known.runner.rescaling,
        assumed=RAW_NAME,
        seed=seed,
    )


def _matched(options: VerifyOptions, data: DataSet) -> tuple[list[Subject], Subject | None, Preprocess]:
    """The files and the reference, if one is a network, and how images are cropped and resized.

    Each file comes with how it is fed and read.
    """
    require_harmless([*options.files, *([options.reference] if options.reference else [])], all_kernels=True)
    runners = [open_runner(path) for path in options.files]  # each runs on a core of its own
    give_distinct_names(runners)
    _require_classifiers(runners, data)
    reference = reference_of(options, runners)
    known = reference or runners[0]
    classes = _classes(known, data, background=options.background)
    usual = usual_of(Task.CLASSIFY, is_photos=data.is_photos).crop_fraction
    pixels = Preprocess(
        resolution=known.resolution,
        crop_fraction=usual if options.crop_fraction is None else options.crop_fraction,
        channels=known.channels,
    )

    def matched(runner: Runner) -> Subject:
        given, background = options.normalization, options.background
        return match(runner, pixels=pixels, given=given, background=background, classes=classes)

    # The reference first: what is wrong with it is said of it.
    subject = None if reference is None else matched(reference)
    return [matched(runner) for runner in runners], subject, pixels


def _require_classifiers(runners: Sequence[Runner], data: DataSet) -> None:
    """Raises `DataError` for a file that finds objects: there are none in this data."""
    found = next((runner for runner in runners if is_detector(runner)), None)
    if found is not None:
        raise DataError(
            f"{found.path} is a detector: --data must be a folder of images with boxes, got {data.name}, which has none"
        )


def _baseline(reference: Subject | None, known: Subject, data: DataSet) -> Baseline:
    """What the files are compared with: the reference, or the labels of as many classes as `known` has scores."""
    if reference is not None:
        return Baseline.of(reference)
    return Baseline.of_labels(f"the labels of {data.name}", classes=known.classes)


def _classes(reference: Runner, data: DataSet, *, background: bool) -> int:
    """The number of scores that are compared."""
    known = len(data.class_names)
    found = Classifier(reference).classes
    if found == known:
        return found
    if found != known + 1:
        raise DataError(
            f"{reference.path} must give a score for each class of the data, got {found} scores for {known} classes: "
            "--classes names the classes in the order of the scores, some of them perhaps without a folder"
        )
    if not background:
        raise DataError(
            f"{reference.path} must give a score for each of {known} classes, got {known + 1}: --background leaves out "
            "the first, if that is of no class"
        )
    return known


def _network_facts(known: Subject, measured: Json) -> NetworkFacts:
    """What the files themselves show of the network, `known` first."""
    resolution = known.runner.resolution
    network = files = network_of_files(known.runner, measured)
    recognized = recognize(known.runner)
    if recognized is not None:
        named: dict[str, Any] = {"family": recognized.architecture, "alpha": recognized.alpha, "resolution": resolution}
        network = replace(network, **named)
        try:
            spec = replace(recognized, resolution=resolution, classes=known.classes)
            total = architecture_of(spec).cost(spec)
        except OptionError:  # a side that we do not build
            pass
        else:
            network = NetworkFacts.of_parameters(**named, mult_adds=total.mult_adds, parameters=total.parameters)
    return replace(network, fp32_bytes=files.fp32_bytes or network.fp32_bytes, fp32_ms=files.fp32_ms)
