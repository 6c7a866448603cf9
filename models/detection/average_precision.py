"""Average precision of a detector as COCO defines it, and the curves behind it.

Along the detections of a class, the most certain first, recall is the share of its objects that are found and precision
the share of detections that are right. The precision that counts at a recall is the best at that recall or any higher;
its mean at 101 recalls, ten thresholds of overlap and all classes that have objects is AP (pycocotools' cocoeval.py,
accumulate and summarize; https://cocodataset.org/#detection-eval).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.detection.matches import THRESHOLDS, ClassMatches, class_matches
from mbexport.models.resolution import Resolution

RECALLS: Final = np.linspace(0, 1, 101)
_SIZE_NAMES: Final = ("small", "medium", "large")
_AT_75: Final = 5  # place among the thresholds
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePrecision:
    """How good detections are, 0 to 1; NaN of what has no objects.

    `ap` is the mean over the thresholds 0.50, 0.55, ... 0.95, `ap50` and `ap75` are those at one. `by_size` has `ap` of
    objects below 32 x 32 px of the photo (small), below 96 x 96 (medium) and of more (large); it is empty where photos'
    sizes are not known. By class: `per_class` (classes,) is `ap`, `per_class50` that at 0.5, `curves` (classes, 101)
    the precision at `RECALLS` and 0.5, and `objects` (classes,) how many were asked for.
    """

    ap: float
    ap50: float
    ap75: float
    by_size: dict[str, float]
    per_class: Floats
    per_class50: Floats
    curves: Floats
    objects: NDArray[np.int64]


def average_precision(
    detections: Sequence[Detections],
    truth: Sequence[Boxes],
    classes: int,
    *,
    sizes: Sequence[Resolution] | None = None,
) -> AveragePrecision:
    """How good the detections in each image are, held against its objects, `truth`; `sizes` are those of the photos.

    Of each class the 100 best detections of an image count. Objects that are difficult count neither way. Of equal
    scores the detection of the earlier image comes first, as in pycocotools.
    """
    pixels = None if sizes is None else [size.pixels for size in sizes]
    return of_matches(class_matches(detections, truth, classes, pixels=pixels))


def of_matches(matches: Sequence[ClassMatches]) -> AveragePrecision:
    """The same of detections that are matched already, by class."""
    count = matches[0].wanted.shape[0] if matches else 1
    precision = np.array(
        [[_curves(each, size) for size in range(count)] for each in matches]
    )  # (classes, sizes, 10, 101)
    found = precision.mean(axis=3)
    return AveragePrecision(
        ap=_mean(found[:, 0]),
        ap50=_mean(found[:, 0, 0]),
        ap75=_mean(found[:, 0, _AT_75]),
        by_size={name: _mean(found[:, size]) for size, name in enumerate(_SIZE_NAMES[: count - 1], 1)},
        per_class=found[:, 0].mean(axis=1),
        per_class50=found[:, 0, 0],
        curves=precision[:, 0, 0],
        objects=np.array([each.wanted[0].sum() for each in matches], np.int64),
    )


def weighted(matches: Sequence[ClassMatches], weights: Floats) -> Floats:
    """AP at each threshold of b samples of the images: (b, 10), whose mean over the thresholds is `ap`.

    `weights` (b, images) say how often each sample has each image. A class without objects in a sample does not count
    there; a sample without any object has no precision, NaN.
    """
    total, count = np.zeros((len(weights), len(THRESHOLDS))), np.zeros((len(weights), 1))
    for each in matches:
        wanted = weights @ each.wanted[0]
        found = np.empty_like(total)
        for place in range(len(THRESHOLDS)):
            best, reached = _steps(each, 0, place, weights, wanted)
            found[:, place] = (best * reached).sum(axis=1) / len(RECALLS)
        total += np.where(wanted[:, None] > 0, found, 0)
        count += wanted[:, None] > 0
    return np.asarray(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))


def _curves(matches: ClassMatches, size: int) -> Floats:
    """The precision at each threshold and each of `RECALLS`: (10, 101), NaN where nothing is asked for."""
    weights = np.ones((1, matches.wanted.shape[1]))
    wanted = weights @ matches.wanted[size]
    curves = np.full((len(THRESHOLDS), len(RECALLS)), np.nan if wanted == 0 else 0.0)
    for place in range(len(THRESHOLDS) if wanted else 0):
        best, reached = _steps(matches, size, place, weights, wanted)
        values = np.repeat(best[0], reached[0])
        curves[place, : len(values)] = values
    return curves


def _steps(
    matches: ClassMatches, size: int, threshold: int, weights: Floats, wanted: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """The steps of a precision-recall curve, one a right detection, for each of b samples of the images: (b, n) each.

    The best precision at that recall or any higher, and how many of `RECALLS` are reached there first. Wrong detections
    only lower the precision of later steps. `wanted` (b,) are the objects in each sample.
    """
    counted = np.flatnonzero(~matches.is_ignored[size, threshold])
    right = np.flatnonzero(matches.is_right[size, threshold, counted])
    counted = counted[: right[-1] + 1 if len(right) else 0]
    count = np.cumsum(weights[:, matches.images[counted]], axis=1)[:, right]
    hits = np.cumsum(weights[:, matches.images[counted[right]]], axis=1)
    precision = np.divide(hits, count, out=np.zeros_like(hits), where=count > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.divide(hits, wanted[:, None], out=np.zeros_like(hits), where=wanted[:, None] > 0)
    reached = np.searchsorted(RECALLS, recall, side="right")
    return best, np.diff(reached, axis=1, prepend=0)


def _mean(values: Floats) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
