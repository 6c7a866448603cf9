"""The boxes that a detector starts from, one for each place of its maps and each shape, and boxes as codes from them.

Source: Liu et al. 2016, "SSD: Single Shot MultiBox Detector", arXiv 1512.02325, section 2.2, in the form of
TensorFlow's detectors: research/object_detection of tensorflow/models, `create_ssd_anchors` of
`anchor_generators/multiple_grid_anchor_generator.py`, and `box_coders/faster_rcnn_box_coder.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import OptionError
from mbexport.models.detection.boxes import Centers, Corners, iou, to_corners
from mbexport.models.resolution import Resolution

Codes = NDArray[np.float32]  # (..., 4): ty, tx, th, tw, times the code scales

CODE_SCALES: Final = (10.0, 10.0, 5.0, 5.0)
_LEAST_SIDE: Final = 1e-8  # a side of 0 has no logarithm; TensorFlow adds the same number to every side
_PAIRS_AT_ONCE: Final = 1 << 17  # of boxes and anchors, a megabyte an array


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorTable:
    """The shapes of the anchors of each map, finest first, and how boxes are coded from them.

    A shape has a scale, the square root of its area as a fraction of the image's shorter side, and a ratio of width to
    height. The map number k has one anchor with `scales[k]` for each of `ratios`, then a square one between this map
    and the next, of the square root of both scales' product, behind the last map with 1. The finest map has three: a
    square one with `lowest_scale`, and two with `scales[0]` that are twice as wide as high and the other way round.
    The defaults are those of TensorFlow's SSD-MobileNets, from 0.2 to 0.95 in even steps.

    `code_scales` multiply the codes of y, x, height and width. Raises `OptionError` unless all numbers are positive and
    finite, and scales are at most 1 and rise from map to map.
    """

    scales: tuple[float, ...] = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
    ratios: tuple[float, ...] = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
    lowest_scale: float = 0.1
    code_scales: tuple[float, float, float, float] = CODE_SCALES

    def __post_init__(self) -> None:
        # Written so that NaN fails.
        rising = (0.0, *self.scales)
        if not self.scales or not all(one < other <= 1 for one, other in zip(rising, self.scales, strict=False)):
            raise OptionError(f"scales of anchors must rise from above 0 to at most 1, got {self.scales}")
        if not 0 < self.lowest_scale <= 1:
            raise OptionError(f"the lowest scale of anchors must be in (0, 1], got {self.lowest_scale:g}")
        if not self.ratios or not all(0 < each < math.inf for each in (*self.ratios, *self.code_scales)):
            raise OptionError(
                f"ratios and code scales must be positive and finite, got {self.ratios} and {self.code_scales}"
            )

    def shapes(self, level: int) -> tuple[tuple[float, float], ...]:
        """The (scale, ratio) of each anchor of a place of the map number `level`, in order."""
        scale = self.scales[level]
        if level == 0:
            return (self.lowest_scale, 1.0), (scale, 2.0), (scale, 1 / 2)
        following = (*self.scales, 1.0)[level + 1]
        return (*((scale, ratio) for ratio in self.ratios), (math.sqrt(scale * following), 1.0))

    @property
    def per_place(self) -> tuple[int, ...]:
        """The number of anchors of each place, map by map."""
        return tuple(len(self.shapes(level)) for level in range(len(self.scales)))


def anchors_of(table: AnchorTable, maps: Sequence[Resolution], *, resolution: Resolution | None = None) -> Centers:
    """All anchors of maps of these sizes: float32 (n, 4) of y, x, height, width in fractions of the image.

    They come map by map, the finest first, then row by row, column by column, and shape by shape. `resolution` is the
    size of the network's input: a square anchor is square in its pixels; without it the input is taken for a square.
    Raises `ValueError` unless the table has a scale for each map.
    """
    if len(maps) != len(table.scales):
        raise ValueError(f"there must be a scale for each of {len(maps)} maps, got {len(table.scales)}")
    sides = (1, 1) if resolution is None else resolution.sides_px
    unit = np.array([min(sides) / side for side in sides])  # the shorter side, as a fraction of each
    found = [_anchors_of_map(table.shapes(level), size, unit) for level, size in enumerate(maps)]
    return np.concatenate(found).astype(np.float32)


def _anchors_of_map(
    shapes: Sequence[tuple[float, float]], size: Resolution, unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The anchors in the middle of each place of a map, float64 (places * shapes, 4)."""
    extents = np.array([(scale / math.sqrt(ratio), scale * math.sqrt(ratio)) for scale, ratio in shapes]) * unit
    ys, xs = ((np.arange(count) + 0.5) / count for count in size.sides_px)
    middles = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    shape = (size.pixels, len(shapes), 2)
    return np.concatenate([np.broadcast_to(middles, shape), np.broadcast_to(extents, shape)], axis=-1).reshape(-1, 4)


def encode(anchors: Centers, corners: Corners, scales: Sequence[float] = CODE_SCALES) -> Codes:
    """The codes of boxes (n, 4), each from its anchor (n, 4): float32 (n, 4) of ty, tx, th, tw.

    ty = (y - ya) / ha and th = log(h / ha), times their scales, and tx and tw likewise (Ren et al. 2015, arXiv
    1506.01497, section 3.1.2). A side of no length counts as 1e-8.
    """
    middle, own = np.split(anchors.astype(np.float64), 2, axis=-1)
    boxes = corners.astype(np.float64)
    centre, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, np.maximum(boxes[..., 2:] - boxes[..., :2], _LEAST_SIDE)
    codes = np.concatenate([(centre - middle) / own, np.log(sides / own)], axis=-1)
    return np.asarray(codes * np.asarray(scales, np.float64), np.float32)


def decode(anchors: Centers, codes: Codes, scales: Sequence[float] = CODE_SCALES) -> Corners:
    """The boxes (n, 4) that `encode` made codes of, each from its anchor; they may reach beyond the image.

    To the bit those of TensorFlow Lite's `DecodeCenterSizeBoxes` (kernels/detection_postprocess.cc), which computes
    centre and half sizes in double precision, and rounds them to float32 before it adds them.
    """
    scaled, wide = codes.astype(np.float64) / np.asarray(scales, np.float64), anchors.astype(np.float64)
    centre = (scaled[..., :2] * wide[..., 2:] + wide[..., :2]).astype(np.float32)
    with np.errstate(over="ignore"):  # a box without an end is as large as the image
        half = (0.5 * np.exp(scaled[..., 2:]) * wide[..., 2:]).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=-1)


def best_overlaps(anchors: Centers, corners: Corners) -> NDArray[np.float64]:
    """The largest intersection over union of each box of `corners` (n, 4) with any anchor: float64 (n,)."""
    own = to_corners(anchors)
    rows = max(1, _PAIRS_AT_ONCE // len(anchors))
    parts = [iou(corners[at : at + rows], own).max(axis=1) for at in range(0, len(corners), rows)]
    return np.concatenate([np.zeros(0), *parts])


def uncovered(anchors: Centers, corners: Corners, iou_threshold: float = 0.5) -> float:
    """The share of the boxes (n, 4) with which no anchor has that overlap; 0 where there are none."""
    return float((best_overlaps(anchors, corners) < iou_threshold).mean()) if len(corners) else 0.0
