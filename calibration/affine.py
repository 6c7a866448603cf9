"""Affine int8 quantization: scale and zero point of a range, and numbers to codes and back.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv 1712.05877, section 2.1: real = scale * (code - zero_point), with zero exactly a code.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import OptionError

INT8_MIN: Final = -128
INT8_MAX: Final = 127
CODE_STEPS: Final = INT8_MAX - INT8_MIN  # between the codes of the two ends of a range
# A channel whose largest weight is smaller gets the scale of this one: TFLite's converter makes no smaller scale.
MIN_LARGEST_WEIGHT: Final = 5e-7
_BIAS_STEPS: Final = 2**30  # half of what int32 holds: a bias may still double while the network learns


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """An interval of real numbers that holds zero. Raises `OptionError` if it does not, or if it is not finite."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-math.inf < self.low <= 0 <= self.high < math.inf and self.low < self.high):
            raise OptionError(f"a range must hold 0 and be finite and wider than 0, got [{self.low:g}, {self.high:g}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """The map real = scale * (code - zero_point), of a whole tensor or of each of its channels on `axis`.

    Raises `OptionError` for a scale that is not positive and finite, and for a wrong number of scales.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        for scale in self.scale:
            if not 0 < scale < math.inf:
                raise OptionError(f"a scale must be positive and finite, got {scale:g}")
        if len(self.scale) != len(self.zero_point) or (self.axis is None and len(self.scale) != 1):
            raise OptionError(
                f"a tensor must have one scale and zero point, a channel axis one of each per channel, got "
                f"{len(self.scale)} and {len(self.zero_point)} on axis {self.axis}"
            )

    def quantize(self, real: NDArray[np.float32], *, low: int = INT8_MIN, high: int = INT8_MAX) -> NDArray[np.int32]:
        """Codes of `real`, rounded half to even and clamped to [low, high]; int32 of the same shape."""
        scale, zero_point = self._broadcast(real.ndim)
        return np.clip(np.rint(real / scale) + zero_point, low, high).astype(np.int32)

    def dequantize(self, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Real numbers that `codes` stand for; float32 of the same shape."""
        scale, zero_point = self._broadcast(codes.ndim)
        return ((codes.astype(np.float64) - zero_point) * scale).astype(np.float32)

    def _broadcast(self, ndim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape = [1] * ndim
        if self.axis is not None:
            shape[self.axis] = len(self.scale)
        scale = np.array(self.scale, np.float64).reshape(shape)
        return scale, np.array(self.zero_point, np.float64).reshape(shape)


def activation_affine(interval: Range) -> Affine:
    """The int8 map of an activation tensor: 256 codes over the range, moved so that zero is a code."""
    scale = (interval.high - interval.low) / CODE_STEPS
    zero_point = INT8_MIN - interval.low / scale
    return Affine(scale=(scale,), zero_point=(int(np.clip(np.rint(zero_point), INT8_MIN, INT8_MAX)),))


def weight_affine(
    weights: NDArray[np.float32], *, axis: int, least: NDArray[np.float64] | float = MIN_LARGEST_WEIGHT
) -> Affine:
    """The symmetric int8 map of weights, with a scale for each channel on `axis`: codes -127..127, zero point 0.

    The scale of a channel whose largest weight is below `least` is that of a weight of `least`.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis % weights.ndim)
    largest = np.abs(weights).max(axis=others)
    scale = np.maximum(largest, least) / INT8_MAX
    return Affine(scale=tuple(scale.tolist()), zero_point=(0,) * len(scale), axis=axis % weights.ndim)


def min_largest_weights(bias: NDArray[np.float32], *, input_scale: float) -> NDArray[np.float64]:
    """For each channel, the least weight that code 127 may stand for if its `bias` (channels,) is to fit 32 bits.

    A bias is stored in steps of input scale times weight scale. Training leaves channels whose weights have faded
    to 1e-12 while their bias has not: with the scale of such weights the bias would saturate near zero.
    Float64 (channels,).
    """
    steps = _BIAS_STEPS * input_scale / INT8_MAX
    return np.maximum(np.abs(bias.astype(np.float64)) / steps, MIN_LARGEST_WEIGHT)


def round_bias(
    bias: NDArray[np.float32], *, weight_scales: NDArray[np.float64], input_scale: float
) -> NDArray[np.float32]:
    """Round `bias` (channels,) to whole steps of input scale times weight scale, as an integer artifact stores it.

    Such a step is up to a third of an output's code.
    """
    steps = weight_scales * input_scale
    whole: NDArray[np.float32] = (np.rint(bias / steps) * steps).astype(np.float32)
    return whole
