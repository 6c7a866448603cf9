"""Predict the classes of image files, or the objects in them, with one artifact, fed as `mbexport verify` feeds it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError, OptionError
from mbexport.formats.classifier import Classifier
from mbexport.formats.contents import labels_of
from mbexport.formats.detector import is_detector
from mbexport.formats.matching import match
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.formats.trial import require_harmless
from mbexport.models.data.decode import read_image
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.pipeline.predict_objects import predict_objects
from mbexport.pipeline.usual import PHOTOS
from mbexport.report.content import Json

_USUAL_TOP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which images an artifact is to answer, and how.

    `top` is how many classes or objects of each image are wanted: without it 5 classes, or all objects that an app
    would show. `labels` name the classes; without them the artifact's own labels do, or else numbers. `normalization`
    is what a file expects that does not say. `crop_fraction` and `background` are of classifiers: the first one is the
    usual one of photos if absent, and with the other the first score is of no class, and left out.
    """

    file: Path
    images: tuple[Path, ...]
    top: int | None = None
    labels: tuple[str, ...] | None = None
    crop_fraction: float | None = None
    normalization: Normalization | None = None
    background: bool = False


def predict_files(question: Question) -> Json:
    """For each image its `top` classes with scores in 0..1, the likeliest first, or the `objects` of a detector.

    Of equal scores the first class comes first. Raises `DataError` for an artifact or an image that cannot be used,
    `OptionError` for a detector with what only classifiers have.
    """
    require_harmless([question.file])
    runner = open_runner(question.file)
    answers = _objects(runner, question) if is_detector(runner) else _classes(runner, question)
    return {"schema": 1, "file": runner.name, "runtime": runner.runtime, "images": answers}


def _objects(runner: Runner, question: Question) -> list[Json]:
    given = {"--crop-fraction": question.crop_fraction is not None, "--background": question.background}
    for option in (name for name, is_given in given.items() if is_given):
        raise OptionError(f"{option} is for classifiers, got it with a detector: drop {option}")
    return predict_objects(
        runner, question.images, top=question.top, labels=question.labels, normalization=question.normalization
    )


def _classes(runner: Runner, question: Question) -> list[Json]:
    classes = Classifier(runner).classes - question.background
    labels = question.labels or _own_labels(runner, question) or tuple(str(number) for number in range(classes))
    if len(labels) != classes:
        raise DataError(
            f"--classes must name {classes} classes, one for each score of {question.file}, got {len(labels)}"
            + ("; --background ignores the first score" if len(labels) == classes - 1 else "")
        )
    preprocess = Preprocess(
        resolution=runner.resolution,
        crop_fraction=PHOTOS.crop_fraction if question.crop_fraction is None else question.crop_fraction,
        channels=runner.channels,
    )
    subject = match(
        runner, pixels=preprocess, given=question.normalization, classes=classes, background=question.background
    )
    rows = _probabilities(subject, question.images, preprocess)
    top = _USUAL_TOP if question.top is None else question.top
    return [
        {"image": str(image), "top": _top(row, labels, top)} for image, row in zip(question.images, rows, strict=True)
    ]


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
