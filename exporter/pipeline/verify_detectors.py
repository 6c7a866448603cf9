"""Compare files of detectors, whoever made them, on images with boxes: the work of `mbexport verify` on them."""

import json
from contextlib import nullcontext
from pathlib import Path

from mbexport.formats.chosen_paths import require_paths_fit
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner, give_distinct_names
from mbexport.formats.subject import DetectorSubject
from mbexport.formats.trial import require_harmless
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import DataSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.task import Task
from mbexport.pipeline.output_place import require_apart
from mbexport.pipeline.publish import VERDICTS, add, report_files, require_room
from mbexport.pipeline.verify_options import (
    VerifyOptions,
    network_of_files,
    readable_of,
    reference_of,
    report_facts,
)
from mbexport.progress import Progress
from mbexport.report.content import Json, report_json, to_bytes
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.measure import MeasureOptions, measure_detection
from mbexport.verification.gates import check_limits
from mbexport.verification.judge import judge_files
from mbexport.verification.task_gates import TASK_GATES
from mbexport.workdir import Workdir


def verify_detectors(
    options: VerifyOptions, data: DataSet, *, out: Path | None, progress: Progress, force: bool = False
) -> Json:
    """The report on the files of `options`, compared on `data`; also written to the folder `out` if one is given.

    Files there that are not an earlier report of ours are replaced with `force` only. Raises `DataError` for a file or
    an image that cannot be used, `OutputError` for an `out` that cannot, both before anything is measured.
    """
    table = TASK_GATES[Task.DETECT]
    check_limits(options.limits, table)
    require_paths_fit(options.paths.names, options.files)
    if out is not None:
        require_apart(out, data)
    with Workdir.open(out) if out is not None else nullcontext() as workdir:
        if workdir is not None:
            require_room(workdir, VERDICTS, force=force, adds=True)
        subjects, reference, pixels = _matched(options)
        known = reference or subjects[0]
        progress.start("verify")
        readable = readable_of(data, options.seed, max_bad=options.max_bad)
        images = readable.distinct[0]
        assert data.objects is not None
        found = measure_detection(
            subjects,
            BoxedImages(images=images, boxes=data.objects(images.names)),
            pixels,
            Baseline(name=f"the labels of {data.name}") if reference is None else Baseline.of(reference),
            MeasureOptions(
                labels=data.class_names,
                threads=options.threads,
                is_timed=options.latency,
                seed=options.seed,
                paths=options.paths,
            ),
            progress=progress,
        )
        network = network_of_files(known.runner, found.measured)
        gates = judge_files(found.measured, network, options.limits, strict=options.strict, gates=table)
        facts = report_facts(known, data, readable, classes=len(data.class_names), is_reference=reference is not None)
        content = to_bytes(report_json(found.measured, gates, facts, strict=options.strict))
        if workdir is not None:
            add(workdir, report_files(content, found.pictures), force=force)
    loaded: Json = json.loads(content)
    return loaded


def _matched(options: VerifyOptions) -> tuple[list[DetectorSubject], DetectorSubject | None, Preprocess]:
    """The files and the reference, if one is a network, and how images are resized: as a whole, to its input."""
    require_harmless([*options.files, *([options.reference] if options.reference else [])], all_kernels=True)
    runners = [open_runner(path) for path in options.files]  # each runs on a core of its own
    give_distinct_names(runners)
    reference = reference_of(options, runners, TASK_GATES[Task.DETECT])
    known = reference or runners[0]
    pixels = Preprocess(resolution=known.resolution, crop_fraction=1.0, channels=known.channels, is_stretched=True)

    def matched(runner: Runner) -> DetectorSubject:
        return match_detector(runner, pixels=pixels, given=options.normalization)

    # The reference first: what is wrong with it is said of it.
    subject = None if reference is None else matched(reference)
    return [matched(runner) for runner in runners], subject, pixels
