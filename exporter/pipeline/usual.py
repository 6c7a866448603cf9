"""What a run takes where no option says it: for digits, for photos, and for photos with boxes."""

from dataclasses import dataclass
from typing import Final

from mbexport.models.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual for one kind of data.

    `resolution_px` is the side of the input, `epochs` those of a training from scratch, at most `fine_tuning_epochs`
    with the weights of a file; `qat_epochs` are those of quantization-aware training, `crop_fraction` is how much of an
    image the network sees.
    """

    resolution_px: int
    epochs: int
    fine_tuning_epochs: int
    qat_epochs: int
    crop_fraction: float


# 8x8 digits gain nothing from more pixels, and their calibrated integers were never beaten (docs/decisions/0007).
DIGITS: Final = Usual(resolution_px=64, epochs=12, fine_tuning_epochs=60, qat_epochs=0, crop_fraction=1.0)
PHOTOS: Final = Usual(resolution_px=224, epochs=30, fine_tuning_epochs=60, qat_epochs=2, crop_fraction=0.875)
# The side is that of the published detector. An object may lie at the border: nothing is cut off. Calibration alone
# keeps 96 % of the detections (docs/decisions/0050).
BOXES: Final = Usual(resolution_px=300, epochs=100, fine_tuning_epochs=100, qat_epochs=0, crop_fraction=1.0)


def usual_of(task: Task, *, is_photos: bool) -> Usual:
    """What is usual for the data of that task."""
    if task is Task.DETECT:
        return BOXES
    return PHOTOS if is_photos else DIGITS
