"""Boxes around the objects of an image, in fractions of its height and width, and their geometry.

A box is (ymin, xmin, ymax, xmax), as TensorFlow's detectors give it. One whose sides are turned round has no area.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float32]  # (..., 4): ymin, xmin, ymax, xmax
Centers = NDArray[np.float32]  # (..., 4): y and x of the centre, height, width


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """The objects of one image: `corners` float32 (n, 4), `classes` int64 (n,) and `is_difficult` bool (n,).

    A difficult one is neither asked for nor wrong where it is found (Everingham et al. 2010, "The Pascal Visual Object
    Classes Challenge", section 4.2).
    """

    corners: Corners
    classes: NDArray[np.int64]
    is_difficult: NDArray[np.bool_]

    @classmethod
    def of(cls, corners: Any, classes: Any, is_difficult: Any = None) -> "Boxes":
        """The objects of sequences of numbers, none of them difficult where nothing is said of that."""
        found = np.asarray(classes, np.int64).reshape(-1)
        difficult = np.zeros(len(found), np.bool_) if is_difficult is None else np.asarray(is_difficult, np.bool_)
        return cls(
            corners=np.asarray(corners, np.float32).reshape(-1, 4), classes=found, is_difficult=difficult.reshape(-1)
        )

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, places: NDArray[Any]) -> "Boxes":
        """Those at these places, or where a mask is true."""
        return Boxes(corners=self.corners[places], classes=self.classes[places], is_difficult=self.is_difficult[places])


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What a detector found in one image, the most certain first.

    `corners` float32 (n, 4), `classes` int64 (n,), `scores` float32 (n,) from 0 to 1.
    """

    corners: Corners
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, corners: Any, classes: Any, scores: Any) -> "Detections":
        """The detections of sequences of numbers."""
        return cls(
            corners=np.asarray(corners, np.float32).reshape(-1, 4),
            classes=np.asarray(classes, np.int64).reshape(-1),
            scores=np.asarray(scores, np.float32).reshape(-1),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, places: NDArray[Any]) -> "Detections":
        """Those at these places, or where a mask is true."""
        return Detections(corners=self.corners[places], classes=self.classes[places], scores=self.scores[places])


def areas(corners: Corners) -> NDArray[np.float64]:
    """The area of each box, a fraction of the image's: float64 (...,), 0 for one whose sides are turned round."""
    wide = corners.astype(np.float64)
    sides = np.maximum(wide[..., 2:] - wide[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def iou(first: Corners, second: Corners) -> NDArray[np.float64]:
    """Intersection over union of each box of `first` (n, 4) with each of `second` (m, 4): float64 (n, m).

    0 where both have no area.
    """
    one, other = first.astype(np.float64).T[..., None], second.astype(np.float64).T[:, None]
    heights = np.minimum(one[2], other[2]) - np.maximum(one[0], other[0])
    widths = np.minimum(one[3], other[3]) - np.maximum(one[1], other[1])
    shared = np.maximum(heights, 0) * np.maximum(widths, 0)
    union = areas(first)[:, None] + areas(second)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def to_centers(corners: Corners) -> Centers:
    """The boxes as centre and size: float32 (..., 4) of y, x, height, width."""
    low, high = corners[..., :2], corners[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=-1).astype(np.float32)


def to_corners(centers: Centers) -> Corners:
    """The inverse of `to_centers`."""
    middle, half = centers[..., :2], centers[..., 2:] / 2
    return np.concatenate([middle - half, middle + half], axis=-1).astype(np.float32)


def clipped(corners: Corners) -> Corners:
    """The boxes cut off at the image's border, (0, 0, 1, 1)."""
    return np.clip(corners, np.float32(0), np.float32(1))
