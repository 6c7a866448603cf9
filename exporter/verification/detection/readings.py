"""Read labelled objects in the other ways in which somebody may have written them: x for y, classes from 1 for from 0.

A detector that finds them clearly better so was labelled, or names its answers, otherwise than it is judged.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from mbexport.models.detection.average_precision import of_matches
from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.models.detection.matches import class_matches

_TURNED: Final = [1, 0, 3, 2]
READINGS: Final[Mapping[str, Callable[[Boxes], Boxes]]] = MappingProxyType(
    {
        "x and y of the labelled boxes swapped": lambda boxes: replace(boxes, corners=boxes.corners[:, _TURNED]),
        "the labelled classes one higher": lambda boxes: replace(boxes, classes=boxes.classes + 1),
        "the labelled classes one lower": lambda boxes: replace(boxes, classes=boxes.classes - 1),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The other reading of the objects with which a detector has the highest AP at 0.5; NaN where none has objects."""

    name: str
    ap50: float


def best_reading(detections: Sequence[Detections], truth: Sequence[Boxes], classes: int) -> Reading:
    """The best of `READINGS` for what was found in images with these objects; those of no class are left out."""
    found = [
        Reading(name=name, ap50=_ap50(detections, [_known(read(each), classes) for each in truth], classes))
        for name, read in READINGS.items()
    ]
    return max(found, key=lambda each: -math.inf if math.isnan(each.ap50) else each.ap50)


def _known(boxes: Boxes, classes: int) -> Boxes:
    return boxes.take((boxes.classes >= 0) & (boxes.classes < classes))


def _ap50(detections: Sequence[Detections], truth: Sequence[Boxes], classes: int) -> float:
    has_objects = any(np.any(~each.is_difficult) for each in truth)
    return of_matches(class_matches(detections, truth, classes)).ap50 if has_objects else math.nan
