"""Measure everything that a report says of detectors: objects found and lost, tails, kernels, labels, latencies.

Detections are collected on all cores; then the artifacts are timed one at a time, while nothing else runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mbexport.formats.contents import detection_tail_of, read_artifact
from mbexport.formats.detection_tail import Decoding, DetectionTail
from mbexport.formats.kernels import kernels_json
from mbexport.formats.matching import input_json
from mbexport.formats.registry import kernels_of
from mbexport.formats.runner import Runner, give_distinct_names
from mbexport.formats.subject import DetectorSubject
from mbexport.latency.performance import Speed, measure_speed
from mbexport.latency.sittings import FULL
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.collect import Collected, collect
from mbexport.verification.detection.comparison import Asked, Comparison, Verification, compared
from mbexport.verification.detection.kernel_paths import detector_paths
from mbexport.verification.detection.pairs import twin_pairs
from mbexport.verification.detection.resampling import image_samples
from mbexport.verification.detection.serialize import comparison_json, pair_json, paths_json, reference_json
from mbexport.verification.detection.tails import TailCheck, check_tails
from mbexport.verification.detection.tails_json import anchors_json, output_json, tail_json, twins_conflict
from mbexport.verification.labels import LabelCheck, check_labels, labels_beside
from mbexport.verification.measure_paths import USUAL_PATHS, PathChoice, measured_paths
from mbexport.verification.pictures import thumbnails

Json = dict[str, Any]
TASK: Final = "detect"
_PICTURE_PX: Final = 480  # the longest side: a box of a twentieth of it is still seen


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure: `labels` are the names of the classes; latencies are measured only where `is_timed`.

    `paths` are the kernel paths to compare.
    """

    labels: Sequence[str]
    threads: int = 1
    is_timed: bool = True
    seed: int = 0
    paths: PathChoice = USUAL_PATHS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The measured part of a report, and JPEGs of the images that it shows, by their names."""

    measured: Json
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A detector as what may hold the names of so many classes."""

    runner: Runner
    classes: int
    skips_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What is known of one artifact beside its detections; `expected` is the reference's tail."""

    kernels: Json
    labels: LabelCheck
    tail: TailCheck | None
    anchors: Json | None
    expected: DetectionTail | None


def measure_detection(
    subjects: Sequence[DetectorSubject],
    boxed: BoxedImages,
    pixels: Preprocess,
    reference: Baseline,
    options: MeasureOptions,
    *,
    progress: Progress,
) -> Measurements:
    """Compare every artifact with the reference on images resized by `pixels`, and time the artifacts.

    Subjects must be opened with one thread: each is compared on a core of its own, and opened again to be timed.
    Raises `DataError` if one cannot be run.
    """
    give_distinct_names([subject.runner for subject in subjects])
    images, seed = boxed.images, options.seed
    kernels = [kernels_json(kernels_of(subject.runner)) for subject in subjects]
    collected = collect(subjects, images, boxed.boxes, pixels, reference=reference, on_step=progress.step)
    found = _compared(subjects, boxed, collected, options, is_network=reference.is_network)
    paths = measured_paths(subjects, detector_paths(seed=seed), options.paths, images, pixels, progress=progress)
    effort = FULL if options.is_timed else None
    tails = check_tails(subjects, images, pixels, effort=effort, seed=seed, on_step=progress.step)
    speed = _speed(subjects, images, pixels, options, progress=progress)
    beside = _beside(subjects, boxed, kernels, tails, labels_of=(reference, options.labels))
    measured = {
        "task": TASK,
        "reference": _reference(reference, found, options.labels),
        "artifacts": [
            _artifact(subject, own, known, found, options.labels) | speed.artifact(subject.name)
            for subject, own, known in zip(subjects, found.artifacts, beside, strict=True)
        ],
        "pairs": _pairs(subjects, collected, tails, speed, seed=seed),
        "speedups": speed.speedups(subjects),
        "paths": [paths_json(each) for each in paths],
        "machine": speed.machine,
    }
    worst = [[one.name for one in each.worst] for each in found.artifacts]
    return Measurements(measured=measured, pictures=thumbnails(worst, images, side_px=_PICTURE_PX))


def _compared(
    subjects: Sequence[DetectorSubject],
    boxed: BoxedImages,
    collected: Collected,
    options: MeasureOptions,
    *,
    is_network: bool,
) -> Verification:
    asked = Asked(names=boxed.images.names, truth=boxed.boxes, classes=len(options.labels), seed=options.seed)
    return compared(collected, [subject.name for subject in subjects], asked, is_network=is_network)


def _beside(
    subjects: Sequence[DetectorSubject],
    boxed: BoxedImages,
    kernels: Sequence[Json],
    tails: Mapping[str, TailCheck],
    *,
    labels_of: tuple[Baseline, Sequence[str]],
) -> list[_Beside]:
    """What is known of each artifact; `labels_of` are the reference, which may hold labels, and those of the data."""
    reference, labels = labels_of
    named = [_Named(runner=subject.runner, classes=len(labels)) for subject in subjects]
    others = labels_beside(reference.runner, named)
    anchors = anchors_json(_decodings(subjects, tails), boxed.boxes)
    expected = _tail_of(reference)
    return [
        _Beside(
            kernels=used,
            labels=check_labels(each, labels, others=others),
            tail=tails.get(subject.name),
            anchors=anchors.get(subject.name),
            expected=expected,
        )
        for subject, each, used in zip(subjects, named, kernels, strict=True)
    ]


def _tail_of(reference: Baseline) -> DetectionTail | None:
    """The tail that files should have; None where the reference is not known to end in one of ours."""
    if reference.tail is not None or reference.runner is None:
        return reference.tail
    return detection_tail_of(reference.runner)


def _artifact(
    subject: DetectorSubject, own: Comparison, beside: _Beside, found: Verification, labels: Sequence[str]
) -> Json:
    artifact = read_artifact(subject.runner)
    return {
        "file": subject.name,
        "format": artifact.format,
        "precision": artifact.precision.value,
        "runtime": subject.runner.runtime,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "input": input_json(subject),
        "output": output_json(subject, beside.tail),
        **comparison_json(own, labels, found.reference),
        "anchors": beside.anchors,
        "tail": tail_json(beside.tail, beside.expected),
        "labels_matched": beside.labels.matched,
        "labels_problem": beside.labels.problem,
        "kernels": beside.kernels,
    }


def _reference(reference: Baseline, found: Verification, labels: Sequence[str]) -> Json:
    return {
        "name": reference.name,
        "precision": None if reference.precision is None else reference.precision.value,
        "labelled": True,
        **reference_json(found, labels),
    }


def _pairs(
    subjects: Sequence[DetectorSubject],
    collected: Collected,
    tails: Mapping[str, TailCheck],
    speed: Speed,
    *,
    seed: int,
) -> list[Json]:
    """Twins, with whether their tails are the same, and the ratio of their latencies."""
    samples = image_samples(len(collected.reference), seed=seed)
    decodings = _decodings(subjects, tails)
    return [
        pair_json(pair)
        | {"is_twin": True, "conflict": twins_conflict(decodings.get(pair.a), decodings.get(pair.b))}
        | speed.pair(pair.a, pair.b)
        for pair in twin_pairs(subjects, collected.artifacts, samples)
    ]


def _decodings(subjects: Sequence[DetectorSubject], tails: Mapping[str, TailCheck]) -> dict[str, Decoding]:
    """The anchors of each file of which they are known, and what is done with them, by name."""
    raw = {each.name: each.detector.decoding for each in subjects if each.detector.decoding is not None}
    return raw | {name: check.tail for name, check in tails.items()}


def _speed(
    subjects: Sequence[DetectorSubject],
    images: ImageSet,
    pixels: Preprocess,
    options: MeasureOptions,
    *,
    progress: Progress,
) -> Speed:
    if not options.is_timed:
        return Speed()
    first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), pixels))
    return measure_speed(subjects, first, threads=options.threads, seed=options.seed, progress=progress)
