"""The published figures of SSD on MobileNet v1, to compare with."""

from dataclasses import dataclass
from typing import Final

from mbexport.models.ssd.spec import SsdSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDetector:
    """One published detector: COCO AP over IoU 0.5 to 0.95, a fraction; mult-adds and parameters in millions."""

    spec: SsdSpec
    ap: float
    mult_adds_m: int
    parameters_m: float


# arXiv 1704.04861, table 13, "SSD 300" with "MobileNet": trained on COCO's train and val but 8,000 images, "minival",
# on which it is evaluated. Its 6.8 M are kernels and one bias a channel: see `cost`.
PUBLISHED: Final = (PublishedDetector(spec=SsdSpec(), ap=0.193, mult_adds_m=1200, parameters_m=6.8),)
NOTE: Final = (
    "Published: arXiv 1704.04861, table 13, rounded to 1.2 B and 6.8 M. Its parameters are kernels and one bias a "
    "channel, batch normalization being folded."
)
