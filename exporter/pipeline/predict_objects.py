"""Find the objects in image files with one detector, fed as `mbexport verify` feeds it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.contents import stored_labels
from mbexport.formats.matching import match_detector
from mbexport.formats.runner import Runner
from mbexport.formats.subject import DetectorSubject
from mbexport.models.data.decode import read_image
from mbexport.models.detection.boxes import Corners, Detections
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.report.content import Json
from mbexport.verification.detection.pairing import CERTAIN


def predict_objects(
    runner: Runner,
    images: Sequence[Path],
    *,
    top: int | None,
    labels: Sequence[str] | None,
    normalization: Normalization | None,
) -> list[Json]:
    """For each image its size and the objects in it, the most certain first, with boxes in fractions and in pixels.

    Without `top` they are those with a score of at least 0.3, else so many whatever their score. A class has its name
    in `labels`, else in the file, else its number. Raises `DataError` for an image that cannot be used.
    """
    pixels = Preprocess(resolution=runner.resolution, crop_fraction=1.0, channels=runner.channels, is_stretched=True)
    subject = match_detector(runner, pixels=pixels, given=normalization)
    known = _own_labels(runner) if labels is None else labels
    return [_answered(subject, image, pixels, top=top, labels=known) for image in images]


def box_px(corners: Corners, size: tuple[int, int]) -> Json:
    """The edges of a box (4,) of fractions in the pixels of an image of (width, height)."""
    top, left, bottom, right = (float(edge) for edge in corners)
    width, height = size
    return {"left": left * width, "top": top * height, "right": right * width, "bottom": bottom * height}


def _answered(
    subject: DetectorSubject, path: Path, pixels: Preprocess, *, top: int | None, labels: Sequence[str]
) -> Json:
    image = read_image(path)
    (found,) = subject.detections(pixels.pixels(image)[None])
    shown = found.take(_places(found.scores, top))
    return {
        "image": str(path),
        "width_px": image.width,
        "height_px": image.height,
        "objects": _objects(shown, image.size, labels),
    }


def _places(scores: NDArray[np.float32], top: int | None) -> NDArray[np.int64]:
    """Which detections are shown, the most certain first; of equal ones the first."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] >= CERTAIN] if top is None else order[:top]


def _objects(found: Detections, size: tuple[int, int], labels: Sequence[str]) -> list[Json]:
    return [
        {
            "class": int(number),
            "label": labels[number] if number < len(labels) else str(number),
            "score": float(score),
            "box": [float(edge) for edge in corners],
            "box_px": box_px(corners, size),
        }
        for corners, number, score in zip(found.corners, found.classes, found.scores, strict=True)
    ]


def _own_labels(runner: Runner) -> Sequence[str]:
    """The labels in the file; none where there are none, or they cannot be read."""
    try:
        return stored_labels(runner) or ()
    except DataError:
        return ()
