"""Measure everything that a report says of artifacts: answers, kernels, labels, latencies.

Answers are collected on all cores; then the artifacts are timed one at a time, while nothing else runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.contents import labels_of, read_artifact
from mbexport.formats.kernels import Kernels, kernels_json
from mbexport.formats.matching import input_json, output_json
from mbexport.formats.registry import format_of, kernels_of, open_path
from mbexport.formats.runner import require_different_names
from mbexport.formats.subject import Subject
from mbexport.latency.performance import Speed, measure_speed
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.comparison import Accuracy, Verification, verify
from mbexport.verification.classification.kernel_paths import Paths, compare_paths
from mbexport.verification.classification.pictures import thumbnails
from mbexport.verification.classification.serialize import accuracy_json, baseline_json, pair_json, paths_json

Json = dict[str, Any]

_FLOATS: Final = (Precision.FP32, Precision.FP16)
# Where fewer labels name any class, the file has other names for its classes, which proves nothing.
_LEAST_RECOGNIZED: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure: `labels` are the names of the classes; latencies are measured only where `is_timed`.

    Unless `is_labelled`, accuracies are NaN and no gate judges them.
    """

    labels: Sequence[str]
    threads: int = 1
    is_timed: bool = True
    is_labelled: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The measured part of a report, and JPEGs of the images that it shows, by their names."""

    measured: Json
    pictures: Mapping[str, bytes]


def measure_all(
    subjects: Sequence[Subject],
    images: ImageSet,
    pixels: Preprocess,
    baseline: Baseline,
    options: MeasureOptions,
    *,
    progress: Progress,
) -> Measurements:
    """Compare every artifact with the baseline on `images`, cropped and resized by `pixels`, and time the artifacts.

    Subjects must be opened with one thread: each is compared on a core of its own, and opened again to be timed.
    Raises `DataError` if one cannot be run, or does not fit the images.
    """
    require_different_names([subject.runner for subject in subjects])
    if options.is_labelled:
        _require_scores(subjects, images)
    kernels = [kernels_of(subject.runner) for subject in subjects]
    verification = verify(
        subjects, images, pixels, reference=baseline, is_labelled=options.is_labelled, on_step=progress.step
    )
    paths = [_paths(subject, images, pixels) for subject in subjects if subject.runner.precision not in _FLOATS]
    speed = _speed(subjects, images, pixels, options, progress=progress) if options.is_timed else Speed()
    measured = {
        "reference": _reference(baseline, verification, images, is_labelled=options.is_labelled),
        "artifacts": [
            _artifact(subject, ran, accuracy, options.labels) | speed.artifact(subject.name)
            for subject, ran, accuracy in zip(subjects, kernels, verification.artifacts, strict=True)
        ],
        "pairs": [pair_json(pair) | speed.pair(pair.a, pair.b) for pair in verification.pairs],
        "speedups": speed.speedups(subjects),
        "paths": [paths_json(each) for each in paths],
        "machine": speed.machine,
    }
    return Measurements(measured=measured, pictures=thumbnails(verification.artifacts, images))


def matched_share(labels: Sequence[str] | None, classes: Sequence[str]) -> float | None:
    """The share of `labels` that name the class at their place, among those that name any of `classes`.

    A name may hold synonyms behind commas; capitals and underscores do not count. None without labels, or where
    fewer than half of them name any class; 0 for another number of labels than of classes.
    """
    if not labels:
        return None
    if len(labels) != len(classes):
        return 0.0
    expected = [_synonyms(name) for name in classes]
    all_names = frozenset().union(*expected)
    pairs = [(_synonyms(label), names) for label, names in zip(labels, expected, strict=True)]
    matches = [bool(label & names) for label, names in pairs if label & all_names]
    if len(matches) < _LEAST_RECOGNIZED * len(labels):
        return None
    return sum(matches) / len(matches)


def _synonyms(name: str) -> frozenset[str]:
    return frozenset(part.strip().replace("_", " ").casefold() for part in name.split(",")) - {""}


def _artifact(subject: Subject, kernels: Kernels, accuracy: Accuracy, labels: Sequence[str]) -> Json:
    artifact, own_labels = read_artifact(subject.runner), labels_of(subject.runner)
    return {
        "file": subject.name,
        "format": artifact.format,
        "precision": artifact.precision.value,
        "runtime": subject.runner.runtime,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "input": input_json(subject),
        "output": output_json(subject),
        **accuracy_json(accuracy, labels),
        "labels_matched": matched_share(own_labels[int(subject.skips_background) :] if own_labels else None, labels),
        "kernels": kernels_json(kernels),
    }


def _reference(baseline: Baseline, verification: Verification, images: ImageSet, *, is_labelled: bool) -> Json:
    counts = np.bincount(images.labels) if is_labelled and len(images) else np.zeros(1)
    return {
        "name": baseline.name,
        "precision": baseline.runner.precision.value if baseline.runner else Precision.FP32.value,
        **baseline_json(verification.reference),
        "classes_seen": verification.classes_seen,
        "chance": float(counts.max() / len(images)) if is_labelled and len(images) else math.nan,
        "labelled": is_labelled,
    }


def _paths(subject: Subject, images: ImageSet, pixels: Preprocess) -> Paths:
    """The file through every kernel path of its runtime."""
    path = subject.runner.path

    def opened(name: str) -> Subject:
        return replace(subject, runner=open_path(path, name))

    openers = {name: partial(opened, name) for name in format_of(path).kernel_paths}
    return compare_paths(openers, images, pixels, file=subject.name)


def _speed(
    subjects: Sequence[Subject], images: ImageSet, pixels: Preprocess, options: MeasureOptions, *, progress: Progress
) -> Speed:
    first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), pixels))
    return measure_speed(subjects, first, threads=options.threads, seed=options.seed, progress=progress)


def _require_scores(subjects: Sequence[Subject], images: ImageSet) -> None:
    """Raises `DataError` where an image shows a class that has no score."""
    needed = int(images.labels.max(initial=0)) + 1
    for subject in subjects:
        if subject.classes < needed:
            raise DataError(
                f"there must be a score for each class of the data, got {subject.classes} scores for {needed} classes"
            )
