"""Describe one MobileNet v2: width, resolution and classes, and the table of blocks that they give.

Source of the architecture: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
arXiv 1801.04381, table 2; of what the paper leaves open, tf_keras.applications.mobilenet_v2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from mbexport.models.spec import NetworkSpec, divisible_by_8

STEM_FILTERS: Final = 32
LAST_FILTERS: Final = 1280
KERNEL_PX: Final = 3  # of the stem and of every depthwise convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of table 2: `repeats` blocks to `filters` channels; the first has `stride`, the others 1."""

    expansion: int
    filters: int
    repeats: int
    stride: int


# arXiv 1801.04381, table 2: t, c, n and s of the bottlenecks.
ROWS: Final[tuple[Row, ...]] = tuple(
    Row(expansion=t, filters=c, repeats=n, stride=s)
    for t, c, n, s in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One inverted residual, from `channels_in` over `expanded` channels to `channels_out`, with these layer names.

    A block that expands nothing begins with its depthwise convolution.
    """

    prefix: str
    channels_in: int
    expanded: int
    channels_out: int
    stride: int

    @property
    def has_expansion(self) -> bool:
        return self.expanded != self.channels_in

    @property
    def has_shortcut(self) -> bool:
        return self.stride == 1 and self.channels_in == self.channels_out


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV2Spec(NetworkSpec):
    """One MobileNet v2: width multiplier alpha, input resolution in pixels, number of classes.

    Published widths are 0.35 to 1.4; Keras builds any. Raises `OptionError` as `NetworkSpec` does.
    """

    architecture: ClassVar[str] = "mobilenet_v2"
    family_title: ClassVar[str] = "MobileNet v2"
    max_alpha: ClassVar[float] = 2.0

    @property
    def stem_channels(self) -> int:
        return divisible_by_8(STEM_FILTERS * self.alpha)

    @property
    def last_channels(self) -> int:
        """The channels of the last convolution before pooling, which a width below 1 leaves as they are."""
        return divisible_by_8(LAST_FILTERS * max(self.alpha, 1.0))

    @property
    def blocks(self) -> Iterator[Block]:
        """The seventeen blocks of table 2, in order."""
        channels, number = self.stem_channels, 0
        for row in ROWS:
            filters = divisible_by_8(int(row.filters * self.alpha))
            for repeat in range(row.repeats):
                yield Block(
                    prefix=f"block_{number}_" if number else "expanded_conv_",
                    channels_in=channels,
                    expanded=channels * row.expansion,
                    channels_out=filters,
                    stride=1 if repeat else row.stride,
                )
                channels, number = filters, number + 1
