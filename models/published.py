"""Checkpoints that others published: what they cost, what they reach, and what quantization took from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mbexport.models.resolution import Resolution
from mbexport.models.spec import NetworkSpec

# As far as v1's published widths reach: its narrowest is 0.25, and any narrower one is nearer than this to it.
_NEAR_ALPHA: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published checkpoint: accuracies are fractions on ImageNet's validation set, cost and parameters in millions.

    `top1_int8` is None where no quantized checkpoint was published.
    """

    spec: NetworkSpec
    mult_adds_m: int
    parameters_m: float
    top1_float: float
    top1_int8: float | None = None

    @property
    def alpha(self) -> float:
        return self.spec.alpha

    @property
    def side_px(self) -> float:
        """The side of the input, or of the square of as many pixels."""
        return self.spec.resolution.mean_side_px

    @property
    def int8_drop(self) -> float | None:
        """The top-1 that quantization-aware training on all of ImageNet lost, as a fraction."""
        return None if self.top1_int8 is None else self.top1_float - self.top1_int8


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperNetwork:
    """One row of the paper's comparisons: top-1 is a fraction on ImageNet, cost in millions, as it is printed there."""

    table: int
    name: str
    spec: NetworkSpec
    top1: float
    mult_adds_m: int
    parameters_m: float


def nearest_quantized(published: Sequence[Published], *, alpha: float, resolution: Resolution) -> Published | None:
    """The quantized checkpoint with the nearest alpha, and among these with the nearest resolution.

    None where no quantized one is within 0.25 of `alpha`: narrow networks lose more than wide ones, so that the loss of
    a wide one says nothing of them. The resolution of an input that is not square is the side of the square of as many
    pixels: what is published is square.
    """
    near = [row for row in published if row.top1_int8 is not None and abs(row.alpha - alpha) <= _NEAR_ALPHA]
    return min(near, key=lambda row: (abs(row.alpha - alpha), abs(row.side_px - resolution.mean_side_px)), default=None)
