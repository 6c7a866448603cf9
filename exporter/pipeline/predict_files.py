"""Predict the classes of image files with one artifact, fed as `mbexport verify` feeds it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.classifier import Classifier
from mbexport.formats.contents import labels_of
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.formats.trial import require_harmless
from mbexport.models.data.decode import read_image
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.pipeline.usual import PHOTOS
from mbexport.report.content import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which images an artifact is to classify, and how.

    `labels` name the classes; without them the artifact's own labels do, or else numbers. `normalization` is what a
    file expects that does not say. With `background` the first score is of no class, and left out.
    """

    file: Path
    images: tuple[Path, ...]
    top: int
    labels: tuple[str, ...] | None = None
    crop_fraction: float = PHOTOS.crop_fraction
    normalization: Normalization | None = None
    background: bool = False


def predict_files(question: Question) -> Json:
    """For each image the `top` classes with their scores in 0..1, the likeliest first; of equal ones the first class.

    Raises `DataError` for an artifact or an image that cannot be used.
    """
    require_harmless([question.file])
    runner = open_runner(question.file)
    classes = Classifier(runner).classes - question.background
    labels = question.labels or _own_labels(runner, question) or tuple(str(number) for number in range(classes))
    if len(labels) != classes:
        raise DataError(
            f"--classes must name {classes} classes, one for each score of {question.file}, got {len(labels)}"
            + ("; --background ignores the first score" if len(labels) == classes - 1 else "")
        )
    preprocess = Preprocess(
        resolution=runner.resolution, crop_fraction=question.crop_fraction, channels=runner.channels
    )
    subject = match(
        runner, pixels=preprocess, given=question.normalization, classes=classes, background=question.background
    )
    rows = _probabilities(subject, question.images, preprocess)
    return {
        "schema": 1,
        "file": runner.name,
        "runtime": runner.runtime,
        "images": [
            {"image": str(image), "top": _top(row, labels, question.top)}
            for image, row in zip(question.images, rows, strict=True)
        ],
    }


def _own_labels(runner: Runner, question: Question) -> tuple[str, ...] | None:
    labels = labels_of(runner)
    return labels[int(question.background) :] if labels else None


def _probabilities(subject: Subject, images: tuple[Path, ...], preprocess: Preprocess) -> Iterator[NDArray[np.float64]]:
    """The probabilities (classes,) of each image, as many at once as the artifact takes."""
    for at in range(0, len(images), subject.batch):
        pixels = np.stack([preprocess.pixels(read_image(image)) for image in images[at : at + subject.batch]])
        yield from subject.probabilities(subject.scores(subject.raw(pixels)))


def _top(row: NDArray[np.float64], labels: tuple[str, ...], count: int) -> list[Json]:
    order = np.argsort(-row, kind="stable")[:count]
    return [{"class": int(index), "label": labels[index], "score": float(row[index])} for index in order]
