"""Find room for labels beside the points of a chart, so that none hides another label or another point."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_GAP_PX: Final = 5
_MARKER_PX: Final = 4  # half of a point's side


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    low: float
    right: float
    high: float

    def overlaps(self, other: "Box") -> bool:
        """Whether both have a pixel in common."""
        is_beside = self.right <= other.left or other.right <= self.left
        return not (is_beside or self.high <= other.low or other.high <= self.low)

    def is_within(self, other: "Box") -> bool:
        """Whether all of it lies in the other one."""
        is_wide = other.left <= self.left and self.right <= other.right
        return is_wide and other.low <= self.low and self.high <= other.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A point at (x, y) in pixels, and what may be written beside it: texts with their widths, the best one first."""

    x: float
    y: float
    texts: tuple[tuple[str, float], ...]


def point_box(x: float, y: float) -> Box:
    """The room that the marker of a point takes."""
    return Box(left=x - _MARKER_PX, low=y - _MARKER_PX, right=x + _MARKER_PX, high=y + _MARKER_PX)


def step_boxes(points: Sequence[tuple[float, float]]) -> list[Box]:
    """The room that a line takes which goes from each point to the right, and then up to the next one."""
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(points):
        boxes.append(Box(left=x, low=y - 1, right=next_x, high=y + 1))
        boxes.append(Box(left=next_x - 1, low=y, right=next_x + 1, high=next_y))
    return boxes


def place(labels: Sequence[Label], taken: Sequence[Box], bounds: Box, *, height: float) -> list[tuple[str, Box] | None]:
    """For each label the text that fits and its room within `bounds`, clear of what is `taken`; None if none does.

    Labels that come first choose first. Every label is tried above, below, left and right of its point.
    """
    boxes, placed = list(taken), list[tuple[str, Box] | None]()
    for label in labels:
        tried = ((text, box) for text, width in label.texts for box in _around(label, width, height))
        found = next(
            ((text, box) for text, box in tried if box.is_within(bounds) and not any(map(box.overlaps, boxes))), None
        )
        placed.append(found)
        boxes += [found[1]] if found else []
    return placed


def _around(label: Label, width: float, height: float) -> list[Box]:
    """The places beside a point: above it to the left, where a rising front leaves room; then everywhere else."""
    near, far = _MARKER_PX + 1, _MARKER_PX + _GAP_PX
    lefts = (label.x - far - width, label.x - width / 2, label.x + far)
    above, middle, below = label.y + near, label.y - height / 2, label.y - near - height
    corners = [
        *((lefts[0], above), (lefts[2], below), (lefts[0], middle), (lefts[2], middle), (lefts[1], above)),
        *((lefts[1], below), (lefts[2], above), (lefts[0], below)),
    ]
    return [Box(left=left, low=low, right=left + width, high=low + height) for left, low in corners]
