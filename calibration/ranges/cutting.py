"""Histograms of a tensor's values, and ranges that cut the rarest of them off: percentile, MSE, entropy."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Range, activation_affine

# On each side of zero. At least half of the larger side's are in use, so that a code of 256 spans 16 bins or more, as
# in NVIDIA's calibration of 2048 bins for 128 codes (Migacz, "8-bit Inference with TensorRT", GTC 2017).
BINS: Final = 8192
_NARROWEST_EXPONENT: Final = -60  # a bin's width is a power of two, at least this one
PERCENTILE: Final = 99.99  # onnxruntime's and TensorRT's tools: 99.99 to 99.999 for images
NARROWEST: Final = 1e-4  # a tensor that is always zero: any range will do, but a scale must be positive
_SHARES: Final = np.linspace(1 / 128, 1, 128)  # of an end: candidates for where values are cut
_ROUNDS: Final = 3  # of moving both ends: more changes nothing that can be measured
# NVIDIA's search starts where no two bins share a code: a sixteenth of the range (Migacz 2017, "8-bit Inference with
# TensorRT").
_ENTROPY_SHARES: Final = np.linspace(1 / 16, 1, 121)

Array = NDArray[np.float64]


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
        """Count one more batch of finite values, of any shape."""
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
        """The width of each bin."""
        return math.ldexp(1.0, self._exponent)

    @property
    def total(self) -> int:
        """How many values were counted, zeros included."""
        return int(self._counts.sum()) + self.zeros

    def used(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The counts of the bins that hold a value, in order, and the lower edges of these bins."""
        bins = np.flatnonzero(self._counts)
        edges: NDArray[np.float64] = (bins - BINS).astype(np.float64) * self.width
        return self._counts[bins], edges

    def _widen(self, farthest: float) -> None:
        """Merge bins until they reach beyond `farthest`, since a bin below zero begins where its value lies."""
        wanted = math.frexp(farthest)[1] - (BINS.bit_length() - 1)  # farthest < 2 ** its exponent
        if wanted <= self._exponent:
            return
        indices = (np.arange(2 * BINS) - BINS) >> (wanted - self._exponent)
        merged = np.bincount(indices + BINS, weights=self._counts, minlength=2 * BINS)
        self._counts, self._exponent = np.rint(merged).astype(np.int64), wanted


def widest(low: float, high: float) -> Range:
    """The range from `low` <= 0 to `high` >= 0, widened to `NARROWEST` if both are (nearly) zero."""
    return Range(low=float(low), high=float(max(high, low + NARROWEST)))


def percentile_range(seen: Histogram, percentile: float = PERCENTILE) -> Range:
    """The range that holds `percentile` % of the values, zeros included, to a bin.

    What is left out lies half on either side where there are values on both, as in onnxruntime's calibration. Where
    so few values are not zero that all would be left out, none is.
    """
    counts, edges = seen.used()
    if not counts.size:
        return widest(seen.low, seen.high)
    sides = 2 if seen.low < 0 < seen.high else 1
    cut = seen.total * (100 - percentile) / 100 / sides
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    low = high = 0.0
    if seen.low < 0:
        low = min(0.0, max(seen.low, float(edges[np.argmax(below > cut)])))
    if seen.high > 0:
        last = len(counts) - 1 - int(np.argmax(above[::-1] > cut))
        high = max(0.0, min(seen.high, float(edges[last]) + seen.width))
    return widest(low, high)


def mse_range(seen: Histogram) -> Range:
    """The range with which rounding and cutting together have the least mean squared error.

    Both ends are moved in turn; zero is a code in every range and has no error.
    """
    best = widest(seen.low, seen.high)
    least = squared_error(seen, best)
    for _ in range(_ROUNDS):
        before = best
        for end in ("high", "low"):
            for share in _SHARES:
                ends = {"low": best.low, "high": best.high, end: share * getattr(seen, end)}
                interval = widest(ends["low"], ends["high"])
                error = squared_error(seen, interval)
                if error < least:
                    best, least = interval, error
        if best == before:
            break
    return best


def squared_error(seen: Histogram, interval: Range) -> float:
    """The sum of squared errors of storing the values of `seen` in `interval`, each in the middle of its bin."""
    counts, edges = seen.used()
    centres = edges + seen.width / 2
    affine = activation_affine(interval)
    scale, zero_point = affine.scale[0], affine.zero_point[0]
    stored = (np.clip(np.rint(centres / scale), INT8_MIN - zero_point, INT8_MAX - zero_point)) * scale
    return float(counts @ (centres - stored) ** 2)


def entropy_range(seen: Histogram) -> Range:
    """The range whose 256 codes lose least of the histogram, by the Kullback-Leibler divergence.

    After Migacz, "8-bit Inference with TensorRT", GTC 2017: what is cut counts as the outermost bins, the codes'
    counts are spread evenly over the bins that they stand for. Both ends are moved in proportion. Zeros are left out:
    a code stands for them in every range.
    """
    candidates = [widest(share * seen.low, share * seen.high) for share in _ENTROPY_SHARES[::-1]]
    return min(candidates, key=lambda interval: _information_lost(seen, interval))


def _information_lost(seen: Histogram, interval: Range) -> float:
    """The divergence, in nats, of the distribution of codes over `interval` from that of the histogram."""
    counts, edges = seen.used()
    centres = edges + seen.width / 2
    inside = np.flatnonzero((interval.low <= centres) & (centres <= interval.high))
    if not inside.size:
        return float("inf")
    first, last = int(inside[0]), int(inside[-1])
    kept = counts[inside].astype(np.float64)
    expected = kept.copy()
    expected[0] += counts[:first].sum()
    expected[-1] += counts[last + 1 :].sum()
    codes = activation_affine(interval).quantize(centres[inside].astype(np.float32)) - INT8_MIN
    spread = np.bincount(codes, kept) / np.maximum(np.bincount(codes), 1)
    return _divergence(expected, spread[codes])


def _divergence(expected: Array, found: Array) -> float:
    """The Kullback-Leibler divergence of two histograms without empty bins, in nats."""
    p, q = expected / expected.sum(), found / found.sum()
    return float((p * np.log(p / q)).sum())
