"""Turns alpha, resolution and class count into the table of layers that is MobileNet v1.

Source of the architecture: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile
Vision Applications", arXiv 1704.04861, table 1.
"""

from dataclasses import dataclass
from typing import Final

from mbexport.errors import OptionError

REFERENCE_RESOLUTION_PX: Final = 224  # rho = 1 (arXiv 1704.04861, section 3.4)
RESOLUTION_STEP_PX: Final = 32  # five stride-2 layers: 2**5
MIN_RESOLUTION_PX: Final = 32
MAX_RESOLUTION_PX: Final = 1024
STEM_FILTERS: Final = 32
KERNEL_PX: Final = 3  # D_K of the stem and of every depthwise convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One depthwise separable block: a depthwise convolution with `stride`, then a 1x1 one to `filters` channels."""

    filters: int
    stride: int


# arXiv 1704.04861, table 1: the thirteen depthwise separable blocks behind the stem.
BLOCKS: Final[tuple[Block, ...]] = tuple(
    Block(filters=filters, stride=stride)
    for filters, stride in (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (1024, 2),
        (1024, 1),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which MobileNet v1: width multiplier alpha, input resolution in pixels, number of classes.

    Raises `OptionError` for an alpha outside (0, 1], a resolution that is not a multiple of 32 from 32 to 1024,
    or fewer than two classes.
    """

    alpha: float = 1.0
    resolution_px: int = REFERENCE_RESOLUTION_PX
    classes: int = 1000

    def __post_init__(self) -> None:
        # Written so that NaN fails: every comparison with NaN is false.
        if not 0 < self.alpha <= 1:
            raise OptionError(f"alpha must be in (0, 1], got {self.alpha:g}")
        in_range = MIN_RESOLUTION_PX <= self.resolution_px <= MAX_RESOLUTION_PX
        if not (in_range and self.resolution_px % RESOLUTION_STEP_PX == 0):
            raise OptionError(
                f"resolution must be a multiple of {RESOLUTION_STEP_PX} from {MIN_RESOLUTION_PX} to "
                f"{MAX_RESOLUTION_PX}, got {self.resolution_px}"
            )
        if not self.classes >= 2:
            raise OptionError(f"classes must be at least 2, got {self.classes}")

    @property
    def rho(self) -> float:
        """The resolution multiplier: resolution / 224."""
        return self.resolution_px / REFERENCE_RESOLUTION_PX

    @property
    def stem_name(self) -> str:
        """The stem of every artifact's file name, for example `mobilenet_v1_0.75_224`."""
        return f"mobilenet_v1_{float(self.alpha)}_{self.resolution_px}"

    def channels(self, filters: int) -> int:
        """The channels that `filters` become under alpha: int(filters * alpha), as the reference does, at least 1."""
        return max(1, int(filters * self.alpha))


def resolution_from_rho(rho: float) -> int:
    """The resolution in pixels that the resolution multiplier `rho` (224 px is 1) stands for.

    Published multipliers are rounded decimals (0.857 is 192/224), so a value within one pixel of a legal
    resolution means that resolution. Raises `OptionError` otherwise.
    """
    wanted_px = rho * REFERENCE_RESOLUTION_PX
    if MIN_RESOLUTION_PX - 1 <= wanted_px <= MAX_RESOLUTION_PX + 1:  # false for NaN and infinity
        nearest_px = round(wanted_px / RESOLUTION_STEP_PX) * RESOLUTION_STEP_PX
        if abs(wanted_px - nearest_px) <= 1:
            return nearest_px
    raise OptionError(
        f"rho must give a multiple of {RESOLUTION_STEP_PX} px from {MIN_RESOLUTION_PX} to {MAX_RESOLUTION_PX} "
        f"(rho * {REFERENCE_RESOLUTION_PX}, for example 1, 0.857, 0.714 or 0.571), got {rho:g}"
    )
