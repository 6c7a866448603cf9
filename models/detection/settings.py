"""What a detector does with its scores: which are looked at, when two boxes are one, and how many are given."""

from dataclasses import dataclass
from typing import Final

from mbexport.errors import OptionError

MAX_DETECTIONS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcess:
    """Non-maximum suppression, class by class, of the boxes whose score is at least `score_threshold`.

    Of two boxes of a class whose intersection over union is more than `iou_threshold` the one with the lower score is
    left out; of all that remain the `max_detections` best are given. The defaults are those of TensorFlow's detectors
    but for the score: 1e-8 there, with which an image always gives as many as there is room for. Raises `OptionError`
    for values outside their range.
    """

    score_threshold: float = 0.01
    iou_threshold: float = 0.6
    max_detections: int = 100

    def __post_init__(self) -> None:
        # Written so that NaN fails.
        if not 0 < self.score_threshold < 1:
            raise OptionError(f"the score threshold must be in (0, 1), got {self.score_threshold:g}")
        if not 0 < self.iou_threshold < 1:
            raise OptionError(f"the IoU threshold must be in (0, 1), got {self.iou_threshold:g}")
        if not 1 <= self.max_detections <= MAX_DETECTIONS:
            raise OptionError(f"max detections must be from 1 to {MAX_DETECTIONS}, got {self.max_detections}")
