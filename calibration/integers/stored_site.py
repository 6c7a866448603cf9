"""Tell how well an integer network stores a tensor. Loads no TensorFlow: reports are written without it."""

import math
from dataclasses import dataclass
from typing import Final

_LAST_PLACE: Final = 2.0**-23  # of a float32 of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSite:
    """How well the integer network stores one tensor on the calibration images.

    `clipped` is the fraction of values that lie more than half a step outside the range; `unused_codes` of 256 never
    occur; `snr_db` is 10 log10 of the float values' power over that of their difference to the stored ones, infinite
    where there is none, NaN where there is nothing.
    """

    low: float
    high: float
    scale: float
    zero_point: int
    clipped: float
    unused_codes: int
    snr_db: float


def decibels(signal: float, noise: float) -> float:
    """The signal-to-noise ratio in dB of two sums of squares, infinite without noise, NaN without a signal.

    Noise of a unit in the last place of float32 comes from how the same number was computed, and is none.
    """
    if not signal:
        return math.nan
    return 10 * math.log10(signal / noise) if noise > signal * _LAST_PLACE**2 else math.inf
