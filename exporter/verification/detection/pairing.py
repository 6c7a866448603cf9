"""Pair the detections of two detectors: which of those that an app shows has the other one too.

An app shows what is certain enough. A detection of one detector has a partner in the other if that gives a box of the
same class at nearly the same place, however certain it is of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.boxes import Detections, iou

CERTAIN: Final = 0.3  # the least score of what is asked about; apps that ask for more show a part of it
OVERLAP: Final = 0.9  # the least intersection over union of partners: about a twentieth of a side off
OBJECT_OVERLAP: Final = 0.5  # of a detection and a labelled object, as in AP50
# Between two runtimes' float32 kernels nothing is further apart; between two codes of a score everything is.
_ALIKE: Final = 1e-5
NONE: Final = -1
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """Of each of n images, how many detections each side is certain of, and how many of these have a partner.

    Both are (n, 2), first what is compared with. `score_error` (n,) sums over the first side's certain detections with
    a partner how far the two scores are apart.
    """

    certain: NDArray[np.int64]
    paired: NDArray[np.int64]
    score_error: NDArray[np.float64]

    @property
    def unpaired(self) -> NDArray[np.int64]:
        """The certain detections of each image and side (n, 2) without a partner."""
        return self.certain - self.paired


def partners(a: Detections, b: Detections, *, overlap: float = OVERLAP) -> tuple[Places, Places]:
    """The partner of each detection of `a` among those of `b`, and the other way round; `NONE` where it has none.

    They are of one class and overlap by at least `overlap`, or are one box, which may have no area; those that overlap
    most are paired first, each once.
    """
    of_a, of_b = np.full(len(a), NONE), np.full(len(b), NONE)
    is_one_box = (a.corners[:, None] == b.corners).all(axis=2)
    shares = np.where(a.classes[:, None] == b.classes, np.maximum(iou(a.corners, b.corners), is_one_box), 0)
    rows, columns = np.nonzero(shares >= overlap)
    for place in np.argsort(-shares[rows, columns], kind="stable").tolist():
        row, column = rows[place], columns[place]
        if of_a[row] == NONE and of_b[column] == NONE:
            of_a[row], of_b[column] = column, row
    return of_a, of_b


def pair_counts(a: Sequence[Detections], b: Sequence[Detections], *, overlap: float = OVERLAP) -> PairCounts:
    """How many certain detections of each image have a partner, on either side; `a` and `b` are of the same images."""
    certain, paired = np.zeros((len(a), 2), np.int64), np.zeros((len(a), 2), np.int64)
    error = np.zeros(len(a))
    for place, (one, other) in enumerate(zip(a, b, strict=True)):
        of_one, of_other = partners(one, other, overlap=overlap)
        is_certain = one.scores >= np.float32(CERTAIN), other.scores >= np.float32(CERTAIN)
        has_partner = is_certain[0] & (of_one != NONE), is_certain[1] & (of_other != NONE)
        certain[place] = [each.sum() for each in is_certain]
        paired[place] = [each.sum() for each in has_partner]
        error[place] = np.abs(one.scores[has_partner[0]] - other.scores[of_one[has_partner[0]]]).sum()
    return PairCounts(certain=certain, paired=paired, score_error=error)


def are_alike(a: Sequence[Detections], b: Sequence[Detections]) -> NDArray[np.bool_]:
    """Whether both give the same detections in the same order, but for the rounding of floats: (n,), of n images."""
    return np.array([_is_alike(one, other) for one, other in zip(a, b, strict=True)], np.bool_)


def _is_alike(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.classes, other.classes)
        and np.allclose(one.scores, other.scores, rtol=0, atol=_ALIKE)
        and np.allclose(one.corners, other.corners, rtol=0, atol=_ALIKE)
    )
