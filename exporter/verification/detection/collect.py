"""Collect what detectors find in images: of all in this process, on all cores, a batch in memory at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mbexport.errors import DataError
from mbexport.formats.subject import DetectorSubject
from mbexport.models.data.open import ImageSet
from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.streaming import BATCH, Batch, answered_batches

OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The detections of each image: of the reference, and of each artifact in their order; `sizes` are the photos'.

    Beside labels alone those of the reference are the labelled objects, with a score of 1.
    """

    reference: tuple[Detections, ...]
    artifacts: tuple[tuple[Detections, ...], ...]
    sizes: tuple[Resolution, ...]


def collect(
    subjects: Sequence[DetectorSubject],
    images: ImageSet,
    truth: Sequence[Boxes],
    pixels: Preprocess,
    *,
    reference: Baseline,
    batch: int = BATCH,
    workers: int | None = None,
    on_step: OnStep = lambda _done, _total, _text: None,
) -> Collected:
    """Feed the same images, resized by `pixels`, to the reference and to every artifact.

    `truth` are the objects of each image. The artifacts run side by side, `workers` at once, one a core if it is None;
    the result does not depend on it. Raises `DataError` for an image that cannot be read or an artifact that cannot be
    run.
    """
    sizes = np.zeros((len(images), 2), np.int64)
    found: list[Detections] = []
    artifacts: list[list[Detections]] = [[] for _ in subjects]
    for done in answered_batches(
        _measured(images, sizes),
        pixels,
        reference=_answer(reference, truth),
        artifacts=[_answer_of(subject) for subject in subjects],
        is_reference_shared=any(subject.runner is reference.runner for subject in subjects),
        batch=batch,
        workers=workers,
    ):
        found.extend(done.expected)
        for own, answers in zip(artifacts, done.answers, strict=True):
            own.extend(answers)
        on_step(len(found), len(images), "images")
    return Collected(
        reference=tuple(found),
        artifacts=tuple(map(tuple, artifacts)),
        sizes=tuple(Resolution(height_px=height, width_px=width) for height, width in sizes.tolist()),
    )


def as_detections(objects: Boxes) -> Detections:
    """Labelled objects as a detector that is certain of them would give them; none that are difficult."""
    asked = objects.take(~objects.is_difficult)
    return Detections.of(asked.corners, asked.classes, np.ones(len(asked)))


def _measured(images: ImageSet, sizes: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> ImageSet:
    """The same images, whose heights and widths go into `sizes` when they are read."""

    def read(place: int) -> Image.Image:
        image = images.read(place)
        sizes[place] = image.height, image.width
        return image

    return replace(images, read=read)


def _answer(reference: Baseline, truth: Sequence[Boxes]) -> Callable[[Batch], Sequence[Detections]]:
    detections = reference.detections
    if detections is None:
        return lambda batch: [as_detections(objects) for objects in truth[batch.places]]
    return lambda batch: _checked(detections(batch.pixels), len(batch.pixels), reference.name)


def _answer_of(subject: DetectorSubject) -> Callable[[Batch, Sequence[Detections]], Sequence[Detections]]:
    return lambda batch, _: _checked(subject.detections(batch.pixels), len(batch.pixels), subject.name)


def _checked(found: Sequence[Detections], count: int, name: str) -> Sequence[Detections]:
    if len(found) != count:
        raise DataError(f"{name} must answer each of {count} images, got {len(found)} answers")
    return found
