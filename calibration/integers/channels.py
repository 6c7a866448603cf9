"""Histograms of the channels of rectified tensors, counted while images go through the float network.

Ranges are observed in the same pass, so that where a range ends is not known before the last image. Bins are therefore
as wide as a power of two needs, and merged by twos where a value falls outside, as in `ranges.cutting`.
"""

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.integers.equalization import BINS, ChannelValues
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.ranges.watch import View

_FINE: Final = 4 * BINS
_NARROWEST_EXPONENT: Final = -20  # bins reach to 2 ** this at least
_POSITIONS: Final = 640  # of an image, or all: rare large values decide where a channel is cut

Array = NDArray[np.float64]


class ChannelCounts:
    """Histograms of the channels of the tensors `sites`, behind which every value is at least 0."""

    def __init__(self, sites: Iterable[str]) -> None:
        self.sites = tuple(sites)
        self._counts: dict[str, _Counts] = {}

    def views(self) -> list[View]:
        """What sees the tensors in the float network."""
        return [View(site=site, reduce=_sample, see=partial(self.add, site)) for site in self.sites]

    def add(self, site: str, values: NDArray[np.float32]) -> None:
        """Count more values (positions, channels) of a tensor, all of them finite."""
        self._counts.setdefault(site, _Counts(values.shape[1])).add(values)

    def values(self, ranges: Ranges) -> dict[str, ChannelValues]:
        """The histograms over each tensor's range, by site."""
        return {site: counts.over(ranges[site].high) for site, counts in self._counts.items()}


def _sample(values: Any) -> Any:
    """Some positions of a batch (n, height, width, channels), spread over each image: (positions, channels)."""
    height, width, channels = values.shape[1:]
    every = max(1, height * width // _POSITIONS)
    while math.gcd(every, width) > 1:  # else whole columns would never be seen
        every += 1
    return tf.reshape(tf.reshape(values, [-1, height * width, channels])[:, ::every], [-1, channels])


class _Counts:
    """The histogram of each channel of one tensor: zeros, then bins up to each multiple of 2 ** exponent / _FINE."""

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, 1 + _FINE), np.int32)
        self._exponent = _NARROWEST_EXPONENT
        self._waiting: list[NDArray[np.float32]] = []

    def add(self, values: NDArray[np.float32]) -> None:
        self._waiting.append(values)
        if sum(each.size for each in self._waiting) >= self._counts.size:
            self._count()

    def over(self, high: float) -> ChannelValues:
        """The histograms in bins over [0, high], in the last of which lies what is more."""
        self._count()
        centres = (np.arange(_FINE) + 0.5) * (math.ldexp(1.0, self._exponent) / _FINE)
        bins = np.minimum(centres * (BINS / high), BINS - 1).astype(np.int64)
        zeros = self._counts[:, 0].astype(np.float64)
        counts = np.zeros((len(self._counts), BINS))
        found, starts = np.unique(bins, return_index=True)  # bins only grow
        counts[:, found] = np.add.reduceat(self._counts[:, 1:], starts, axis=1)
        counts[:, 0] += zeros
        return ChannelValues(high=high, counts=counts, zeros=zeros)

    def _count(self) -> None:
        """Count the values that wait: all at once, since the histograms are larger than a few of them."""
        if not self._waiting:
            return
        values = np.concatenate(self._waiting)
        self._waiting.clear()
        self._widen(math.frexp(float(values.max()))[1])
        values *= np.float32(math.ldexp(_FINE, -self._exponent))
        bins = np.ceil(values, out=values).astype(np.int32)
        channels = values.shape[1]
        bins += np.arange(channels, dtype=np.int32) * (1 + _FINE)
        self._counts += np.bincount(bins.ravel(), minlength=self._counts.size).reshape(self._counts.shape)

    def _widen(self, wanted: int) -> None:
        """Merge bins by twos until they reach to 2 ** wanted."""
        if not self._counts.any():
            self._exponent = max(self._exponent, wanted)
        while self._exponent < wanted:
            merged = self._counts[:, 1:].reshape(len(self._counts), -1, 2).sum(axis=2)
            self._counts[:, 1:] = np.concatenate([merged, np.zeros_like(merged)], axis=1)
            self._exponent += 1
