"""Scale the channels of a tensor so that each one uses its codes: equalization and bias absorption.

One scale serves all channels of an activation. A channel that stays small is multiplied by a factor that makes it as
large as the others, and the next convolution's weights for it are divided by the same: between them nothing but a
ReLU happens, which does not mind (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", arXiv 1906.04721, section 4.1). A ReLU6 minds only what it cuts: a channel that was scaled up is cut
where its range ends.

A channel that never comes near zero wastes the codes below its values. Where the next convolution has no padding, a
shift is free as well: it moves from one bias into the next (section 4.3 there, "high bias absorption"), and the ReLU
cuts at the shift. Padding stands for zero, and would stand for the shift.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, INT8_MAX

BINS: Final = 256
_LIMITS: Final = np.linspace(0.02, 1, 99)  # of the range: candidates for where a channel is cut above
_SHIFTS: Final = np.linspace(0, 0.98, 50)  # the same below
_LEAST_WIDTH: Final = 0.02
_LARGEST_FACTOR: Final = 64.0
# How much of the weights' rounding error is left after compensated rounding: measured, docs/decisions/0012.
_WEIGHT_ERROR_LEFT: Final = 0.1
_ROUNDS: Final = 3

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelValues:
    """Histograms of the channels of a rectified tensor: `counts` (channels, BINS) over [0, high].

    `zeros` (channels,) of the first bin are exactly 0.
    """

    high: float
    counts: Array
    zeros: Array

    def taken(self, sources: NDArray[np.int64]) -> "ChannelValues":
        """The histograms of a tensor whose channels are copies of the `sources` (channels,) of this one."""
        return ChannelValues(
            high=self.high,
            counts=self.counts[sources],
            zeros=self.zeros[sources],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How the channels of a tensor are stored: (value - `shifts`) * `factors`, both float64 (channels,)."""

    factors: Array
    shifts: Array

    @classmethod
    def none(cls, channels: int) -> "Scaling":
        """Every channel stored as it is."""
        return cls(factors=np.ones(channels), shifts=np.zeros(channels))

    def in_steps(self, scale: float) -> "Scaling":
        """The same scaling in units of `scale`, the step between codes."""
        return Scaling(factors=self.factors / scale, shifts=self.shifts)

    def repeated(self, channels: int) -> "Scaling":
        """The scaling of so many channels that are made of these, all of which are stored alike."""
        return Scaling(factors=np.full(channels, self.factors[0]), shifts=np.full(channels, self.shifts[0]))

    def moved(self, by: Array) -> "Scaling":
        """The same scaling with stored values that are larger by `by` (channels,)."""
        return Scaling(factors=self.factors, shifts=self.shifts - by / self.factors)


def best_limits(values: ChannelValues, *, may_shift: bool = False) -> tuple[Array, Array]:
    """Where to cut each channel below and above, so that cutting and rounding together have the least squared error.

    Both are (channels,), between 0 and `high`; the lower ones are 0 unless the tensor `may_shift`.
    """
    centres = (np.arange(BINS) + 0.5) * (values.high / BINS)
    counts = values.counts.copy()
    counts[:, 0] = np.maximum(counts[:, 0] - values.zeros, 0)  # zero is a code in every range
    above = np.stack([counts @ np.maximum(centres - limit, 0) ** 2 for limit in _LIMITS * values.high])
    lows, highs = np.zeros(len(counts)), np.full(len(counts), values.high)
    least = np.full(len(counts), np.inf)
    for share in _SHIFTS if may_shift else _SHIFTS[:1]:
        low = share * values.high
        centred = values.zeros * low**2 + counts @ np.maximum(low - centres, 0) ** 2
        width = np.maximum(_LIMITS * values.high - low, _LEAST_WIDTH * values.high)
        rounded = counts.sum(axis=1) * ((width / CODE_STEPS) ** 2 / 12)[:, None]
        errors = np.where(_LIMITS[:, None] > share, above + centred + rounded, np.inf)
        best = errors.argmin(axis=0)
        error = errors[best, np.arange(len(counts))]
        is_better = error < least
        lows, highs = np.where(is_better, low, lows), np.where(is_better, low + width[best], highs)
        least = np.minimum(least, error)
    return lows, highs


def rounding_variances(values: ChannelValues) -> Array:
    """The variance of the rounding error of each channel, (channels,), if it is cut where `best_limits` says.

    A twelfth of a step squared, as for any uniform error; zero is a code, and is not rounded.
    """
    _, highs = best_limits(values)
    moving = 1 - values.zeros / np.maximum(values.counts.sum(axis=1), 1)
    return np.asarray(moving * (highs / CODE_STEPS) ** 2 / 12)


def free_scaling(values: ChannelValues) -> Scaling:
    """The scaling of a tensor that a depthwise convolution reads: factors cost nothing, its padding forbids shifts."""
    _, highs = best_limits(values)
    return Scaling(factors=_factors(values, highs), shifts=np.zeros(len(highs)))


def balanced_scaling(values: ChannelValues, kernel: NDArray[np.float32], *, may_shift: bool) -> Scaling:
    """The scaling of a tensor that a full convolution with `kernel` (kh, kw, channels, outputs) reads.

    Larger activations carry less rounding error into the sum, and more of the error of the weights that they meet:
    the factor is where both together are least.
    """
    weights = kernel.astype(np.float64)
    lows, highs = best_limits(values, may_shift=may_shift)
    factors = least = values.high / (values.high - lows)  # with less the range would end above the ReLU's cut
    most = _factors(values, highs - lows)
    power = _mean_squares(values, lows)
    activation_error = (values.high / CODE_STEPS) ** 2 * (weights**2).sum(axis=(0, 1, 3))
    for _ in range(_ROUNDS):
        scaled = np.abs(weights / factors[:, None])
        weight_error = ((scaled.max(axis=(0, 1, 2)) / INT8_MAX) ** 2).sum() * weights.shape[0] * weights.shape[1]
        meets = np.maximum(_WEIGHT_ERROR_LEFT * weight_error * power, np.finfo(np.float64).tiny)
        factors = np.clip((activation_error / meets) ** 0.25, least, most)
    return Scaling(factors=factors, shifts=lows)


def _factors(values: ChannelValues, widths: Array) -> Array:
    return np.clip(values.high / widths, 1.0, _LARGEST_FACTOR)


def _mean_squares(values: ChannelValues, lows: Array) -> Array:
    """The mean square of each channel above its cut `lows`, (channels,)."""
    above = np.maximum((np.arange(BINS) + 0.5) * (values.high / BINS) - lows[:, None], 0)
    counts = values.counts.copy()
    counts[:, 0] -= values.zeros
    return np.asarray((counts * above**2).sum(axis=1) / np.maximum(values.counts.sum(axis=1), 1))
