"""Describe the outputs of a detection network: two of each map, the codes of its boxes and the logits of their classes.

Loads numpy alone, as all of this package.
"""

import math
from dataclasses import dataclass

from mbexport.errors import OptionError
from mbexport.models.detection.anchors import CODE_SCALES
from mbexport.models.detection.postprocess import CodeScales


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The outputs of a detection network, map by map, the finest first.

    The map number i has `boxes_i` (n, h, w, anchors * 4) and `classes_i` (n, h, w, anchors * classes), where `anchors`
    says how many there are at each place: codes ty, tx, th, tw times `code_scales`, and logits, whose sigmoid is the
    score of a class. Raises `OptionError` for numbers that are not positive and finite.
    """

    anchors: tuple[int, ...]
    code_scales: CodeScales = CODE_SCALES

    def __post_init__(self) -> None:
        if not self.anchors or not all(each >= 1 for each in self.anchors):
            raise OptionError(f"each map of a detector must have at least 1 anchor at a place, got {self.anchors}")
        if len(self.code_scales) != 4 or not all(0 < scale < math.inf for scale in self.code_scales):
            raise OptionError(f"the scales of codes must be 4 positive and finite numbers, got {self.code_scales}")

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The names of the outputs, as the layers that make them have them: codes and logits of each map."""
        return tuple((f"boxes_{number}", f"classes_{number}") for number in range(len(self.anchors)))
