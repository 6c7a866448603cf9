"""What a detector's file does behind its network: boxes and scores become the few detections that an app reads.

Every format computes it by ops of its own, of which `mbexport.models.detection.postprocess` is the twin in numpy.
"""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from mbexport.errors import OptionError
from mbexport.models.detection.boxes import Centers
from mbexport.models.detection.postprocess import CodeScales
from mbexport.models.detection.settings import PostProcess

# The four outputs, in their order: TensorFlow's detectors have that order, MediaPipe looks for just these names.
LOCATION: Final = "location"  # (1, most, 4) ymin, xmin, ymax, xmax in 0..1 of the image
CATEGORY: Final = "category"  # (1, most) the number of the class, from 0
SCORE: Final = "score"  # (1, most) in 0..1, the highest first
NUMBER: Final = "number of detections"  # (1,); in the rows behind it everything is 0
OUTPUTS: Final = (LOCATION, CATEGORY, SCORE, NUMBER)
# Those of a file whose heads apps decode: codes (1, n, 4) and scores (1, n, classes) at n anchors.
RAW_OUTPUTS: Final = (LOCATION, SCORE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoding:
    """How codes at anchors become boxes of one image.

    `anchors` float32 (n, 4) are the y, x, height and width of all n places. Raises `OptionError` for anchors without a
    size, and for scales and counts that are not positive.
    """

    anchors: Centers
    code_scales: CodeScales
    classes: int

    def __post_init__(self) -> None:
        shape, kind = self.anchors.shape, self.anchors.dtype
        if kind != np.float32 or len(shape) != 2 or shape[1] != 4 or not shape[0]:
            raise OptionError(f"anchors must be float32 (n, 4), got {kind} {shape}")
        # Written so that NaN fails.
        if not (np.isfinite(self.anchors).all() and (self.anchors[:, 2:] > 0).all()):
            raise OptionError("anchors must be finite, with a height and a width above 0, got others")
        if not all(0 < scale < np.inf for scale in self.code_scales):
            raise OptionError(f"the scales of codes must be positive and finite, got {self.code_scales}")
        _require_some("classes", self.classes)

    @property
    def thresholds(self) -> PostProcess | None:
        """Which boxes are left out; None where that is the app's to say."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionTail(Decoding):
    """How the outputs of a network with `maps` maps become detections of one image.

    Each map i has the outputs `boxes_i` (1, h, w, k * 4) and `classes_i` (1, h, w, k * classes): codes and logits, in
    floats or in integers with a scale. The anchors are in the order of the maps.
    """

    settings: PostProcess
    maps: int

    def __post_init__(self) -> None:
        Decoding.__post_init__(self)
        _require_some("maps", self.maps)

    @property
    def thresholds(self) -> PostProcess:
        """Which boxes are left out."""
        return self.settings

    @property
    def heads(self) -> tuple[tuple[str, str], ...]:
        """The names of the network's outputs: for each map that of the codes and that of the logits."""
        return tuple((f"boxes_{number}", f"classes_{number}") for number in range(self.maps))

    @property
    def properties(self) -> dict[str, str]:
        """What a file with metadata properties says of it."""
        settings = asdict(self.settings)
        return {"output": "detections", **{f"detection.{name}": f"{value:.9g}" for name, value in settings.items()}}


def _require_some(name: str, count: int) -> None:
    if count < 1:
        raise OptionError(f"a detector must have at least 1 of its {name}, got {count}")
