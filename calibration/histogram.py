"""Turns the values of a tensor, batch by batch, into a histogram of fixed size."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

# On each side of zero. At least half of the larger side's are in use, so that a code of 256 spans 16 bins or more, as
# in NVIDIA's calibration of 2048 bins for 128 codes (Migacz, "8-bit Inference with TensorRT", GTC 2017).
BINS: Final = 8192
_NARROWEST_EXPONENT: Final = -60  # a bin's width is a power of two, at least this one


class Histogram:
    """How often values fall into bins of one width, on both sides of zero; zeros are counted by themselves.

    The width is the least power of two with which the bins reach the value that is farthest from zero: where one
    falls outside, bins are merged by twos. Halving an index is exact, so that neither the order of the values nor
    their batches decide anything.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * BINS, np.int64)
        self._exponent = _NARROWEST_EXPONENT
        self.zeros = 0
        self.low, self.high = 0.0, 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """One more batch of finite values, of any shape."""
        flat = values.ravel()
        flat = flat[flat != 0]  # half of what a ReLU gives
        self.zeros += values.size - flat.size
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(high, -low))
        scaled = np.ldexp(flat, -self._exponent)
        bins = (scaled if low > 0 else np.floor(scaled)).astype(np.int64) + BINS
        self._counts += np.bincount(bins, minlength=2 * BINS)

    @property
    def width(self) -> float:
        """Of each bin."""
        return math.ldexp(1.0, self._exponent)

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self._counts.sum()) + self.zeros

    def used(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The counts of those bins that hold a value, in order, and their lower edges."""
        found = np.flatnonzero(self._counts)
        edges: NDArray[np.float64] = (found - BINS).astype(np.float64) * self.width
        return self._counts[found], edges

    def _widen(self, farthest: float) -> None:
        """Merges bins until they reach `farthest` and a little more: below zero a bin begins where it lies."""
        wanted = math.frexp(farthest)[1] - (BINS.bit_length() - 1)  # farthest < 2 ** its exponent
        if wanted <= self._exponent:
            return
        indices = (np.arange(2 * BINS) - BINS) >> (wanted - self._exponent)
        merged = np.bincount(indices + BINS, weights=self._counts, minlength=2 * BINS)
        self._counts, self._exponent = np.rint(merged).astype(np.int64), wanted
