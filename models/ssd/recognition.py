"""Find the description of an SSD on MobileNet v1 in the shapes of its convolutions, as any file stores them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mbexport.errors import DataError
from mbexport.models.mobilenet_v1.spec import BLOCKS, STEM_FILTERS
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.spec import ANCHORS_PER_PLACE, EXTRA_FILTERS, FEATURE_STRIDES, STRIDED_BLOCK, SsdSpec

_TRUNK: Final = 1 + 2 * len(BLOCKS) + 2 * len(EXTRA_FILTERS)  # convolutions from the image to the last map
_CODES: Final = 4  # of a box
_MOST_DIGITS: Final = 6  # of a width multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvolutionShape:
    """What a convolution gives: `channels`, at every `stride`-th place."""

    channels: int
    stride: int


def spec_of_shapes(
    trunk: Sequence[ConvolutionShape],
    heads: Sequence[tuple[int, int]],
    *,
    resolution: Resolution,
) -> SsdSpec:
    """The detector whose convolutions have these shapes.

    `trunk` are those from the image to the coarsest map, in order; `heads` are the channels of codes and of logits of
    each map, finest first. Raises `DataError` for other numbers than such a detector has, `OptionError` for one
    that is not built here.
    """
    if len(trunk) != _TRUNK:
        raise DataError(f"there must be {_TRUNK} convolutions between the image and the last map, got {len(trunk)}")
    classes = _classes_of(heads)
    alpha = alpha_of([trunk[0].channels, *(each.channels for each in trunk[2 : 2 * len(BLOCKS) + 1 : 2])])
    is_fine = trunk[2 * STRIDED_BLOCK - 1].stride == 1
    stride = min(FEATURE_STRIDES) if is_fine else max(FEATURE_STRIDES)
    return SsdSpec(alpha=alpha, resolution=resolution, classes=classes, feature_stride=stride)


def alpha_of(channels: Sequence[int]) -> float:
    """The roundest width multiplier with which the stem and the blocks have these channels, each rounded down.

    Raises `DataError` where none gives them.
    """
    filters = (STEM_FILTERS, *(block.filters for block in BLOCKS))
    widths = list(zip(channels, filters, strict=True))
    least = max(found / full if found > 1 else 0.0 for found, full in widths)
    for digits in range(_MOST_DIGITS + 1):
        step = 10.0**-digits
        first = math.ceil(least / step - 1e-9)
        for number in (first, first + 1):  # what is computed in floats may round down to one less
            alpha = round(number * step, digits)
            if all(max(1, int(full * alpha)) == found for found, full in widths):
                return alpha
    raise DataError(
        f"the stem and the blocks must have the channels {', '.join(map(str, filters))} times one width, got "
        f"{', '.join(map(str, channels))}"
    )


def _classes_of(heads: Sequence[tuple[int, int]]) -> int:
    """The number of classes for which each map has as many anchors a place as it must."""
    classes = heads[0][1] // ANCHORS_PER_PLACE[0]
    for level, ((codes, logits), each) in enumerate(zip(heads, ANCHORS_PER_PLACE, strict=True)):
        if codes != _CODES * each:
            raise DataError(
                f"boxes_{level} must give {_CODES} codes for each of {each} anchors a place, {_CODES * each} channels, "
                f"got {codes}"
            )
        if logits != classes * each or not classes:
            raise DataError(
                f"classes_{level} must give as many logits for each of {each} anchors a place as classes_0, "
                f"{classes * each or each} channels, got {logits}"
            )
    return classes
