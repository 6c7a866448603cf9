"""Measure everything that a report says of artifacts: answers, kernels, labels, latencies.

Answers are collected on all cores; then the artifacts are timed one at a time, while nothing else runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.contents import read_artifact
from mbexport.formats.kernels import Kernels, kernels_json
from mbexport.formats.matching import input_json, output_json
from mbexport.formats.registry import kernels_of
from mbexport.formats.runner import give_distinct_names
from mbexport.formats.subject import Subject
from mbexport.latency.performance import Speed, measure_speed
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.collect import Collect
from mbexport.verification.classification.collect import collect as collect_here
from mbexport.verification.classification.comparison import Accuracy, Verification, compared
from mbexport.verification.classification.kernel_paths import CLASSIFIER_PATHS
from mbexport.verification.classification.serialize import accuracy_json, baseline_json, pair_json, paths_json
from mbexport.verification.labels import LabelCheck, check_labels, labels_beside
from mbexport.verification.measure_paths import USUAL_PATHS, PathChoice, measured_paths
from mbexport.verification.pictures import thumbnails

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure: `labels` are the names of the classes; latencies are measured only where `is_timed`.

    Unless `is_labelled`, accuracies are NaN and no gate judges them. `paths` are the kernel paths to compare.
    """

    labels: Sequence[str]
    threads: int = 1
    is_timed: bool = True
    is_labelled: bool = True
    seed: int = 0
    paths: PathChoice = USUAL_PATHS


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
    collect: Collect = collect_here,
    progress: Progress,
) -> Measurements:
    """Compare every artifact with the baseline on `images`, cropped and resized by `pixels`, and time the artifacts.

    `collect` gathers the answers to all images, here or on several machines. Subjects must be opened with one thread:
    each is compared on a core of its own, and opened again to be timed.
    Raises `DataError` if one cannot be run, or does not fit the images.
    """
    give_distinct_names([subject.runner for subject in subjects])
    if options.is_labelled:
        _require_scores(subjects, classes=len(options.labels))
    kernels = [kernels_of(subject.runner) for subject in subjects]
    answered = collect(subjects, images, pixels, reference=baseline, on_step=progress.step)
    verification = compared(answered, subjects, images, reference=baseline, is_labelled=options.is_labelled)
    paths = measured_paths(subjects, CLASSIFIER_PATHS, options.paths, images, pixels, progress=progress)
    speed = _speed(subjects, images, pixels, options, progress=progress) if options.is_timed else Speed()
    others = labels_beside(baseline.runner, subjects)
    measured = {
        "reference": _reference(baseline, verification, images, is_labelled=options.is_labelled),
        "artifacts": [
            _artifact(subject, ran, accuracy, options.labels, check_labels(subject, options.labels, others=others))
            | speed.artifact(subject.name)
            for subject, ran, accuracy in zip(subjects, kernels, verification.artifacts, strict=True)
        ],
        "pairs": [pair_json(pair) | speed.pair(pair.a, pair.b) for pair in verification.pairs],
        "speedups": speed.speedups(subjects),
        "paths": [paths_json(each) for each in paths],
        "machine": speed.machine,
    }
    disputed = [[one.image for one in accuracy.disagreements] for accuracy in verification.artifacts]
    return Measurements(measured=measured, pictures=thumbnails(disputed, images))


def _artifact(
    subject: Subject, kernels: Kernels, accuracy: Accuracy, labels: Sequence[str], checked: LabelCheck
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
        "output": output_json(subject),
        **accuracy_json(accuracy, labels),
        "labels_matched": checked.matched,
        "labels_problem": checked.problem,
        "kernels": kernels_json(kernels),
    }


def _reference(baseline: Baseline, verification: Verification, images: ImageSet, *, is_labelled: bool) -> Json:
    counts = np.bincount(images.labels) if is_labelled and len(images) else np.zeros(1)
    return {
        "name": baseline.name,
        "precision": _precision(baseline),
        "kind": baseline.kind.value if baseline.is_network else None,
        **baseline_json(verification.reference),
        "classes_seen": verification.classes_seen,
        "chance": float(counts.max() / len(images)) if is_labelled and len(images) else math.nan,
        "labelled": is_labelled,
    }


def _precision(baseline: Baseline) -> str | None:
    """The precision of a network; None for labels."""
    if baseline.runner is not None:
        return baseline.runner.precision.value
    return Precision.FP32.value if baseline.is_network else None


def _speed(
    subjects: Sequence[Subject], images: ImageSet, pixels: Preprocess, options: MeasureOptions, *, progress: Progress
) -> Speed:
    first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), pixels))
    return measure_speed(subjects, first, threads=options.threads, seed=options.seed, progress=progress)


def _require_scores(subjects: Sequence[Subject], *, classes: int) -> None:
    """Raises `DataError` unless each artifact gives a score for each class, whether an image shows it or not."""
    for subject in subjects:
        if subject.classes != classes:
            raise DataError(
                f"{subject.name} must give a score for each class of the data, got {subject.classes} scores for "
                f"{classes} classes"
            )
