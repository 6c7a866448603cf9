"""Turns artifacts and images into everything that a report says of them: the work of `verify` and of a build.

Answers are collected on all cores; then the machine is left to one artifact at a time, and these are timed.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final

import numpy as np
from PIL import Image

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.contents import labels_of, read_artifact
from mbexport.formats.kernels import Kernels, kernels_json
from mbexport.formats.matching import input_json, output_json
from mbexport.formats.registry import format_of, kernels_of, open_path
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.latency.performance import Speed, speed_of
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.verify.classification.baseline import Baseline
from mbexport.verify.classification.comparison import Accuracy, Verification, verify
from mbexport.verify.classification.kernel_paths import Paths, compare_paths
from mbexport.verify.classification.serialize import accuracy_json, baseline_json, pair_json, paths_json

MOST_PICTURES: Final = 96
_SIDE_PX: Final = 160
_QUALITY: Final = 80


def thumbnails(found: Sequence[Accuracy], images: ImageSet, *, most: int = MOST_PICTURES) -> dict[str, bytes]:
    """JPEG content by image name, at most `most`: each artifact's worst image first, then each one's second worst.

    Raises `DataError` for an image that cannot be read any more.
    """
    ranks = zip_longest(*([one.image for one in accuracy.disagreements] for accuracy in found))
    wanted = dict.fromkeys(name for rank in ranks for name in rank if name is not None)
    places = {name: place for place, name in enumerate(images.names)}
    return {name: _thumbnail(images.read(places[name])) for name in list(wanted)[:most]}


def pictures_to_json(pictures: Mapping[str, bytes]) -> bytes:
    """One file for all, for `pictures_from_json`."""
    return json.dumps({name: b64encode(content).decode() for name, content in pictures.items()}).encode()


def pictures_from_json(content: bytes) -> dict[str, bytes]:
    """What `pictures_to_json` wrote."""
    return {name: b64decode(text) for name, text in json.loads(content).items()}


def _thumbnail(image: Image.Image) -> bytes:
    """The longest side 160 px; a smaller image keeps its size."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR)
    content = BytesIO()
    small.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


# With fewer labels that name any class the file speaks of its classes in other words, which proves nothing.
_FEWEST_KNOWN: Final = 0.5


def matched_share(labels: Sequence[str] | None, classes: Sequence[str]) -> float | None:
    """The share of `labels` that name the class at their place, of those that name any of `classes`.

    A name may hold synonyms behind commas; capitals and underscores do not count. None without labels, or where
    they are in other words; 0 for another number of labels than of classes.
    """
    if not labels:
        return None
    if len(labels) != len(classes):
        return 0.0
    wanted = [_synonyms(name) for name in classes]
    everything = frozenset().union(*wanted)
    told = [(_synonyms(label), right) for label, right in zip(labels, wanted, strict=True)]
    known = [bool(said & right) for said, right in told if said & everything]
    if len(known) < _FEWEST_KNOWN * len(labels):
        return None
    return sum(known) / len(known)


def _synonyms(name: str) -> frozenset[str]:
    return frozenset(part.strip().replace("_", " ").casefold() for part in name.split(",")) - {""}


Json = dict[str, Any]

_FLOATS: Final = (Precision.FP32, Precision.FP16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of artifacts is to be found out: `labels` are the classes in words; times only where `is_timed`.

    Where the images have no labels, accuracies are NaN and no gate judges them.
    """

    labels: Sequence[str]
    threads: int = 1
    is_timed: bool = True
    is_labelled: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The measured part of a report, and JPEGs of the images that it shows, by their names."""

    measured: Json
    pictures: Mapping[str, bytes]


def measure_all(
    subjects: Sequence[Subject],
    images: ImageSet,
    pixels: Preprocess,
    baseline: Baseline,
    asked: Asked,
    *,
    progress: Progress,
) -> Found:
    """Compares every artifact with the baseline on `images`, cropped and resized as `pixels` says, and times them.

    Subjects are opened with one thread: each is compared on a core of its own, and opened anew to be timed. Raises
    `DataError` if one cannot be run, or does not fit the images.
    """
    require_different_names([subject.runner for subject in subjects])
    if asked.is_labelled:
        _require_scores(subjects, images)
    kernels = [kernels_of(subject.runner) for subject in subjects]
    verification = verify(
        subjects, images, pixels, reference=baseline, is_labelled=asked.is_labelled, on_step=progress.step
    )
    paths = [_paths(subject, images, pixels) for subject in subjects if subject.runner.precision not in _FLOATS]
    speed = _speed(subjects, images, pixels, asked, progress=progress) if asked.is_timed else Speed()
    measured = {
        "reference": _reference(baseline, verification, images, is_labelled=asked.is_labelled),
        "artifacts": [
            _artifact(subject, ran, accuracy, asked.labels) | speed.artifact(subject.name)
            for subject, ran, accuracy in zip(subjects, kernels, verification.artifacts, strict=True)
        ],
        "pairs": [pair_json(pair) | speed.pair(pair.a, pair.b) for pair in verification.pairs],
        "speedups": speed.speedups(subjects),
        "paths": [paths_json(each) for each in paths],
        "machine": speed.machine,
    }
    return Found(measured=measured, pictures=thumbnails(verification.artifacts, images))


def require_different_names(runners: Sequence[Runner]) -> None:
    """Raises `DataError` if two artifacts have one file name: results are known by it."""
    seen: set[str] = set()
    for runner in runners:
        if runner.name in seen:
            raise DataError(f"artifacts must have different file names, got {runner.name} twice")
        seen.add(runner.name)


def _artifact(subject: Subject, kernels: Kernels, accuracy: Accuracy, labels: Sequence[str]) -> Json:
    artifact, inside = read_artifact(subject.runner), labels_of(subject.runner)
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
        "labels_matched": matched_share(inside[int(subject.skips_background) :] if inside else None, labels),
        "kernels": kernels_json(kernels),
    }


def _reference(baseline: Baseline, found: Verification, images: ImageSet, *, is_labelled: bool) -> Json:
    counts = np.bincount(images.labels) if is_labelled and len(images) else np.zeros(1)
    return {
        "name": baseline.name,
        "precision": baseline.runner.precision.value if baseline.runner else Precision.FP32.value,
        **baseline_json(found.reference),
        "classes_seen": found.classes_seen,
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
    subjects: Sequence[Subject], images: ImageSet, pixels: Preprocess, asked: Asked, *, progress: Progress
) -> Speed:
    first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), pixels))
    return speed_of(subjects, first, threads=asked.threads, seed=asked.seed, progress=progress)


def _require_scores(subjects: Sequence[Subject], images: ImageSet) -> None:
    """Raises `DataError` where an image shows a class that has no score."""
    wanted = int(images.labels.max(initial=0)) + 1
    for subject in subjects:
        if subject.classes < wanted:
            raise DataError(
                f"there must be a score for each class of the data, got {subject.classes} scores for {wanted} classes"
            )
