"""Describe one MobileNet v3, small or large: width, resolution and classes, and the table of blocks that they give.

Source of the architecture: Howard et al. 2019, "Searching for MobileNetV3", arXiv 1905.02244, tables 1 and 2; of what
the paper leaves open, and of the minimalistic networks, tf_keras.applications.mobilenet_v3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from mbexport.models.spec import NetworkSpec, divisible_by_8

STEM_CHANNELS: Final = 16  # at any width
STEM_KERNEL_PX: Final = 3
MINIMALISTIC_KERNEL_PX: Final = 3
SQUEEZE_RATIO: Final = 0.25  # section 5.3: "we fix them to be 1/4 of the number of channels in expansion layer"
LAST_EXPANSION: Final = 6  # of the last convolution before pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of table 1 or 2: expansion over the block's input, filters, kernel, stride, squeeze-and-excite, h-swish."""

    expansion: float
    filters: int
    kernel_px: int
    stride: int
    squeezes: bool
    swishes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, from `channels_in` over `expanded` channels to `channels_out`; layer names begin with `prefix`.

    `squeezed` are the channels between the two convolutions of squeeze-and-excite, None without one. The first block
    of a network expands nothing.
    """

    prefix: str
    channels_in: int
    expanded: int
    channels_out: int
    kernel_px: int
    stride: int
    squeezed: int | None
    swishes: bool
    has_expansion: bool

    @property
    def has_shortcut(self) -> bool:
        return self.stride == 1 and self.channels_in == self.channels_out


def _rows(*rows: tuple[float, int, int, int, bool, bool]) -> tuple[Row, ...]:
    names = ("expansion", "filters", "kernel_px", "stride", "squeezes", "swishes")
    return tuple(Row(**dict(zip(names, row, strict=True))) for row in rows)  # type: ignore[arg-type]  # by position


# arXiv 1905.02244, table 2, with the expansions as tf_keras.applications.mobilenet_v3 has them.
SMALL_ROWS: Final = _rows(
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True),
    (6, 40, 5, 1, True, True),
    (6, 40, 5, 1, True, True),
    (3, 48, 5, 1, True, True),
    (3, 48, 5, 1, True, True),
    (6, 96, 5, 2, True, True),
    (6, 96, 5, 1, True, True),
    (6, 96, 5, 1, True, True),
)
# arXiv 1905.02244, table 1.
LARGE_ROWS: Final = _rows(
    (1, 16, 3, 1, False, False),
    (4, 24, 3, 2, False, False),
    (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False),
    (3, 40, 5, 1, True, False),
    (3, 40, 5, 1, True, False),
    (6, 80, 3, 2, False, True),
    (2.5, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True),
    (6, 112, 3, 1, True, True),
    (6, 112, 3, 1, True, True),
    (6, 160, 5, 2, True, True),
    (6, 160, 5, 1, True, True),
    (6, 160, 5, 1, True, True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Spec(NetworkSpec):
    """One MobileNet v3: width multiplier alpha, input resolution in pixels, number of classes, whether minimalistic.

    A minimalistic network has the same channels, but no squeeze-and-excite, no h-swish and no 5x5 kernel. Published
    widths are 0.75 and 1; Keras builds any. Raises `OptionError` as `NetworkSpec` does.
    """

    max_alpha: ClassVar[float] = 2.0
    rows: ClassVar[tuple[Row, ...]]
    feature_filters: ClassVar[int]

    minimalistic: bool = False

    @property
    def title(self) -> str:
        """What people call the network: "Minimalistic MobileNet v3 small"."""
        return f"{'Minimalistic ' if self.minimalistic else ''}{self.family_title}"

    @property
    def variant_names(self) -> tuple[str, ...]:
        """What file names say of a minimalistic network: `mobilenet_v3_small_minimalistic_1.0_224`."""
        return ("minimalistic",) if self.minimalistic else ()

    @property
    def blocks(self) -> Iterator[Block]:
        """The blocks of the table, in order."""
        channels = STEM_CHANNELS
        for number, row in enumerate(self.rows):
            filters = divisible_by_8(row.filters * self.alpha)
            expanded = divisible_by_8(channels * row.expansion)
            squeezes = row.squeezes and not self.minimalistic
            yield Block(
                prefix=f"expanded_conv_{number}/" if number else "expanded_conv/",
                channels_in=channels,
                expanded=expanded if number else channels,
                channels_out=filters,
                kernel_px=MINIMALISTIC_KERNEL_PX if self.minimalistic else row.kernel_px,
                stride=row.stride,
                squeezed=divisible_by_8(expanded * SQUEEZE_RATIO) if squeezes else None,
                swishes=row.swishes and not self.minimalistic,
                has_expansion=number > 0,
            )
            channels = filters

    @property
    def last_channels(self) -> int:
        """The channels of the last convolution before pooling."""
        return divisible_by_8(divisible_by_8(self.rows[-1].filters * self.alpha) * LAST_EXPANSION)

    @property
    def feature_channels(self) -> int:
        """The channels of the convolution behind pooling, which a width below 1 leaves as they are."""
        return divisible_by_8(self.feature_filters * max(self.alpha, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSpec(MobileNetV3Spec):
    """One MobileNet v3 small: see `MobileNetV3Spec`."""

    architecture: ClassVar[str] = "mobilenet_v3_small"
    family_title: ClassVar[str] = "MobileNet v3 small"
    rows: ClassVar[tuple[Row, ...]] = SMALL_ROWS
    feature_filters: ClassVar[int] = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeSpec(MobileNetV3Spec):
    """One MobileNet v3 large: see `MobileNetV3Spec`."""

    architecture: ClassVar[str] = "mobilenet_v3_large"
    family_title: ClassVar[str] = "MobileNet v3 large"
    rows: ClassVar[tuple[Row, ...]] = LARGE_ROWS
    feature_filters: ClassVar[int] = 1280
