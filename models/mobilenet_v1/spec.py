"""Describe one MobileNet v1: width, resolution and classes, and the table of layers that they give.

Source of the architecture: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile
Vision Applications", arXiv 1704.04861, table 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Protocol

from mbexport.errors import OptionError
from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec
from mbexport.models.stem_width import padded_width

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


class Body(Protocol):
    """What the stem and the blocks of a MobileNet v1 depend on, for whatever reads their maps."""

    @property
    def resolution(self) -> Resolution: ...
    @property
    def conv(self) -> Convolution: ...
    @property
    def blocks(self) -> Sequence[Block]: ...
    def channels(self, filters: int) -> int: ...


# The five rows that the shallow network leaves out (arXiv 1704.04861, section 4.1, table 5): "the 5 layers of
# separable filters with feature size 14 x 14 x 512 are removed".
REPEATED_BLOCK: Final = Block(filters=512, stride=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(NetworkSpec):
    """One MobileNet v1: width multiplier alpha, input resolution in pixels, number of classes, kind of blocks.

    `shallow` leaves out the five blocks from 512 to 512 channels. Raises `OptionError` for an alpha outside (0, 1],
    a resolution that is not a multiple of 32 from 32 to 1024, fewer than two classes, or an unknown convolution.
    """

    architecture: ClassVar[str] = "mobilenet_v1"
    family_title: ClassVar[str] = "MobileNet v1"
    max_alpha: ClassVar[float] = 1.0

    conv: Convolution = Convolution.SEPARABLE
    shallow: bool = False

    def __post_init__(self) -> None:
        NetworkSpec.__post_init__(self)  # a class with slots is made twice, so that super() would not find itself
        if not isinstance(self.conv, Convolution):
            raise OptionError(f"conv must be one of {', '.join(Convolution)}, got {self.conv}")

    @property
    def title(self) -> str:
        """What people call the network: "Shallow MobileNet v1 of standard convolutions"."""
        standard = " of standard convolutions" if self.conv is Convolution.STANDARD else ""
        return f"{'Shallow ' if self.shallow else ''}{self.family_title}{standard}"

    @property
    def variant_names(self) -> tuple[str, ...]:
        """What file names say of other blocks: `mobilenet_v1_standard_shallow_0.75_224`."""
        standard = ("standard",) if self.conv is Convolution.STANDARD else ()
        return (*standard, "shallow") if self.shallow else standard

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of table 1 that this network has: thirteen, or eight if it is shallow."""
        return tuple(block for block in BLOCKS if not (self.shallow and block == REPEATED_BLOCK))

    def channels(self, filters: int) -> int:
        """The channels that `filters` become under alpha: int(filters * alpha), as the reference does, at least 1."""
        return narrowed(filters, self.alpha)


def narrowed(filters: int, alpha: float) -> int:
    """The channels that `filters` become under the width multiplier `alpha`."""
    return max(1, int(filters * alpha))


def spec_of_channels(layers: Sequence[tuple[int, bool]]) -> ModelSpec | None:
    """A MobileNet v1 of that width, from the (channels, is_depthwise) of its convolutions in order.

    None for another network, and for one that is wider than those which are built here. The stem may be padded, as in
    int8 files. A classifier may follow the blocks or not: it can be a convolution or a dense layer.
    """
    pattern = [False, *(is_depthwise for _ in BLOCKS for is_depthwise in (True, False))]
    body = layers[: len(pattern)]
    if [is_depthwise for _, is_depthwise in body] != pattern:
        return None
    found = [channels for channels, is_depthwise in body if not is_depthwise]
    for alpha in (round(found[-1] / BLOCKS[-1].filters, 2), found[0] / STEM_FILTERS):
        stem, *others = (int(filters * alpha) for filters in (STEM_FILTERS, *(block.filters for block in BLOCKS)))
        if found in ([stem, *others], [padded_width(stem), *others]):
            return ModelSpec(alpha=alpha) if 0 < alpha <= ModelSpec.max_alpha else None
    return None
