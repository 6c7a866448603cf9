"""Measure every artifact of a detector beside its float network, on the test images and the objects in them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.stage import Files
from mbexport.pipeline.stage_files import MEASURED, PICTURES

if TYPE_CHECKING:
    from mbexport.formats.subject import DetectorSubject
    from mbexport.verification.detection.baseline import Detect

_FLOAT_NAME: Final = "Keras, float"


def is_detector_judged(run: Context) -> bool:
    """Whether anything is found out about a detector's artifacts."""
    return run.plan.is_judged and run.plan.task is Task.DETECT


def verify(run: Context) -> Files:
    """Every artifact against the float network, or the model that was imported, as Keras computes it.

    Each is fed what it says itself that it expects.
    """
    from mbexport.models.training.train import make_deterministic
    from mbexport.pipeline.stages.export import tail_of
    from mbexport.report.content import to_bytes
    from mbexport.verification.detection.baseline import Baseline
    from mbexport.verification.detection.measure import MeasureOptions, measure_detection
    from mbexport.verification.pictures import pictures_to_json

    plan = run.plan
    make_deterministic(plan.seed)
    found = measure_detection(
        subjects_of(run, run.artifacts.values()),
        run.images.boxed(run.images.test),
        run.float.facts.preprocess,
        Baseline(name=_FLOAT_NAME, detections=float_detections(run), tail=tail_of(run.float.facts)),
        MeasureOptions(labels=run.labels, threads=plan.threads, is_timed=plan.latency, seed=plan.seed),
        progress=run.progress,
    )
    return {MEASURED: to_bytes(found.measured), PICTURES: pictures_to_json(found.pictures)}


def float_detections(run: Context) -> "Detect":
    """The objects in uint8 images (n, h, w, channels) by the float network, or by the model that was imported."""
    from mbexport.models.detection.postprocess import detect_batch
    from mbexport.pipeline.networks import reference_heads

    detector = run.float.facts.detector
    assert detector is not None
    heads, anchors = reference_heads(run), detector.anchors
    return lambda pixels: detect_batch(
        heads(pixels),
        anchors,
        detector.table.code_scales,
        detector.settings,
    )


def subjects_of(run: Context, artifacts: Iterable[Path]) -> "list[DetectorSubject]":
    """Some of the run's artifacts, opened, each fed what it says itself that it expects."""
    from mbexport.formats.matching import match_detector
    from mbexport.formats.registry import open_runner

    pixels = run.float.facts.preprocess
    return [match_detector(open_runner(path), pixels=pixels, given=None) for path in artifacts]
