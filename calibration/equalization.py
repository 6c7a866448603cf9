"""Turns the values that each channel of a tensor takes into factors that let every channel use its codes.

One scale serves all channels of an activation. A channel that stays small is multiplied by a factor that makes it as
large as the others, and the next convolution's weights for it are divided by the same: between them nothing but a
ReLU happens, which does not mind (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction", arXiv 1906.04721, section 4.1). A ReLU6 minds only what it cuts: a channel that was scaled up is cut
where its range ends.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX

BINS: Final = 256
_CODES: Final = 255
_LIMITS: Final = np.linspace(0.02, 1, 99)  # of the range: candidates for where a channel is cut
_LARGEST_FACTOR: Final = 64.0
# How much of the weights' rounding error is left after compensated rounding: measured, docs/decisions/0012.
_WEIGHT_ERROR_LEFT: Final = 0.1
_ROUNDS: Final = 3

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelValues:
    """How often each channel of a rectified tensor takes which value: (channels, BINS) counts over [0, high].

    `zeros` (channels,) of the first bin are exactly 0; `mean_squares` are those of all values.
    """

    high: float
    counts: Array
    zeros: Array
    mean_squares: Array


def best_limits(values: ChannelValues) -> Array:
    """Where to cut each channel so that cutting and rounding together err least, (channels,); at most `high`."""
    centres = (np.arange(BINS) + 0.5) * (values.high / BINS)
    counts = values.counts.copy()
    counts[:, 0] = np.maximum(counts[:, 0] - values.zeros, 0)  # zero is a code in every range
    errors = np.stack(
        [
            counts @ np.maximum(centres - limit, 0) ** 2 + counts.sum(axis=1) * (limit / _CODES) ** 2 / 12
            for limit in _LIMITS * values.high
        ]
    )
    best: Array = _LIMITS[errors.argmin(axis=0)] * values.high
    return best


def free_factors(values: ChannelValues) -> Array:
    """Factors (channels,) for a tensor that a depthwise convolution reads: a scale for each channel costs nothing."""
    return np.clip(values.high / best_limits(values), 1.0, _LARGEST_FACTOR)


def balanced_factors(values: ChannelValues, kernel: NDArray[np.float32]) -> Array:
    """Factors (channels,) for a tensor that a full convolution with `kernel` (kh, kw, channels, outputs) reads.

    Larger activations carry less rounding error into the sum, and more of the error of the weights that they meet:
    the factor is where both together are least.
    """
    weights = kernel.astype(np.float64)
    most = free_factors(values)
    factors = np.ones_like(most)
    activation_error = (values.high / _CODES) ** 2 * (weights**2).sum(axis=(0, 1, 3))
    for _ in range(_ROUNDS):
        scaled = np.abs(weights / factors[:, None])
        weight_error = ((scaled.max(axis=(0, 1, 2)) / INT8_MAX) ** 2).sum() * weights.shape[0] * weights.shape[1]
        meets = np.maximum(_WEIGHT_ERROR_LEFT * weight_error * values.mean_squares, np.finfo(np.float64).tiny)
        factors = np.clip((activation_error / meets) ** 0.25, 1.0, most)
    return factors
