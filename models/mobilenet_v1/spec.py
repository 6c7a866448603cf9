"""Describe one MobileNet v1: width, resolution and classes, and the table of layers that they give.

Source of the architecture: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile
Vision Applications", arXiv 1704.04861, table 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mbexport.errors import OptionError

REFERENCE_RESOLUTION_PX: Final = 224  # rho = 1 (arXiv 1704.04861, section 3.4)
RESOLUTION_STEP_PX: Final = 32  # five stride-2 layers: 2**5
MIN_RESOLUTION_PX: Final = 32
MAX_RESOLUTION_PX: Final = 1024
STEM_FILTERS: Final = 32
KERNEL_PX: Final = 3  # D_K of the stem, of every depthwise and of every standard convolution


class Convolution(StrEnum):
    """The convolutions of a block: depthwise separable, or the standard ones that the paper compares with (table 4)."""

    SEPARABLE = "separable"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, to `filters` channels: a depthwise convolution with `stride`, then a 1x1 one.

    In a network of standard convolutions it is a single one, with the same `stride`.
    """

    filters: int
    stride: int


# arXiv 1704.04861, table 1: the thirteen blocks behind the stem.
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

# The five rows that the shallow network leaves out (arXiv 1704.04861, section 4.1, table 5): "the 5 layers of
# separable filters with feature size 14 x 14 x 512 are removed".
REPEATED_BLOCK: Final = Block(filters=512, stride=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One MobileNet v1: width multiplier alpha, input resolution in pixels, number of classes, kind of blocks.

    `shallow` leaves out the five blocks from 512 to 512 channels. Raises `OptionError` for an alpha outside (0, 1],
    a resolution that is not a multiple of 32 from 32 to 1024, fewer than two classes, or an unknown convolution.
    """

    alpha: float = 1.0
    resolution_px: int = REFERENCE_RESOLUTION_PX
    classes: int = 1000
    conv: Convolution = Convolution.SEPARABLE
    shallow: bool = False

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
        if not isinstance(self.conv, Convolution):
            raise OptionError(f"conv must be one of {', '.join(Convolution)}, got {self.conv}")

    @property
    def rho(self) -> float:
        """The resolution multiplier: resolution / 224."""
        return self.resolution_px / REFERENCE_RESOLUTION_PX

    @property
    def stem_name(self) -> str:
        """The stem of every artifact's file name, for example `mobilenet_v1_0.75_224`.

        Other kinds of blocks are part of it: `mobilenet_v1_standard_shallow_0.75_224`.
        """
        standard = "_standard" if self.conv is Convolution.STANDARD else ""
        shallow = "_shallow" if self.shallow else ""
        return f"mobilenet_v1{standard}{shallow}_{float(self.alpha)}_{self.resolution_px}"

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of table 1 that this network has: thirteen, or eight if it is shallow."""
        return tuple(block for block in BLOCKS if not (self.shallow and block == REPEATED_BLOCK))

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


def alpha_of_channels(layers: Sequence[tuple[int, bool]]) -> float | None:
    """The width multiplier of a MobileNet v1, from the (channels, is_depthwise) of its convolutions in order.

    None for another network. A classifier may follow the blocks or not: it can be a convolution or a dense layer.
    """
    pattern = [False, *(is_depthwise for _ in BLOCKS for is_depthwise in (True, False))]
    body = layers[: len(pattern)]
    if [is_depthwise for _, is_depthwise in body] != pattern:
        return None
    found = [channels for channels, is_depthwise in body if not is_depthwise]
    for alpha in (round(found[-1] / BLOCKS[-1].filters, 2), found[0] / STEM_FILTERS):
        if found == [int(filters * alpha) for filters in (STEM_FILTERS, *(block.filters for block in BLOCKS))]:
            return alpha
    return None
