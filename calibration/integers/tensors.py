"""Tensors of all calibration images, held in three bytes a value, and how well their codes store them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine

_CODES: Final = INT8_MAX - INT8_MIN + 1

Array = NDArray[np.float32]


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


class SiteCount:
    """Count what `StoredSite` reports of one tensor, batch by batch."""

    def __init__(self, affine: Affine) -> None:
        self._affine = affine
        self._table = affine.dequantize(np.arange(INT8_MIN, INT8_MAX + 1))
        self._used = np.zeros(_CODES, np.int64)
        self._clipped = 0
        self._signal, self._noise = 0.0, 0.0

    def add(self, floats: Array, quantized: Array, codes: NDArray[np.uint8]) -> None:
        """Count one more batch: float values, the values that were rounded, and their codes, which begin at 0.

        All three have the same shape.
        """
        half = self._affine.scale[0] / 2
        self._clipped += int((quantized < self._table[0] - half).sum())
        self._clipped += int((quantized > self._table[-1] + half).sum())
        self._used += np.bincount(codes.ravel(), minlength=_CODES)
        error = floats - self._table[codes]
        self._signal += float(np.vdot(floats, floats))
        self._noise += float(np.vdot(error, error))

    def site(self, interval: Range) -> StoredSite:
        """The figures so far; `interval` is the range that the codes cover."""
        total = int(self._used.sum())
        return StoredSite(
            low=interval.low,
            high=interval.high,
            scale=self._affine.scale[0],
            zero_point=self._affine.zero_point[0],
            clipped=self._clipped / total if total else math.nan,
            unused_codes=int((self._used == 0).sum()),
            snr_db=decibels(self._signal, self._noise),
        )


def decibels(signal: float, noise: float) -> float:
    """The signal-to-noise ratio in dB of two sums of squares, infinite without noise, NaN without a signal."""
    if not signal:
        return math.nan
    return 10 * math.log10(signal / noise) if noise else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """The batches of a tensor: its float values in half precision, and the codes that the quantized layers give.

    Three bytes a value. Both are in the units of the quantized network, whose channels may have been scaled.
    """

    interval: Range
    affine: Affine
    _count: SiteCount
    _floats: list[NDArray[np.float16]] = field(default_factory=list)
    _codes: list[NDArray[np.uint8]] = field(default_factory=list)

    @classmethod
    def of(cls, interval: Range) -> "StoredTensor":
        """A tensor without any batch yet, whose codes stand for values in `interval`."""
        affine = activation_affine(interval)
        return cls(interval=interval, affine=affine, _count=SiteCount(affine))

    def add(self, floats: Array, quantized: Array) -> None:
        """Append a batch (n, height, width, channels) of float values and of those to be rounded to codes."""
        codes = (self.affine.quantize(quantized) - INT8_MIN).astype(np.uint8)
        self._count.add(floats, quantized, codes)
        self._floats.append(floats.astype(np.float16))
        self._codes.append(codes)

    def pairs(self, *, at_most: int | None = None) -> Iterator[tuple[Array, Array]]:
        """Float and dequantized values of each batch; of so few images that about `at_most` values remain."""
        every = max(1, -(-self.size // at_most)) if at_most else 1
        for floats, codes in zip(self._floats, self._codes, strict=True):
            if len(codes[::every]):
                real = self.affine.dequantize(codes[::every].astype(np.int32) + INT8_MIN)
                yield floats[::every].astype(np.float32), real

    @property
    def size(self) -> int:
        """How many values the batches have."""
        return sum(codes.size for codes in self._codes)

    def site(self) -> StoredSite:
        """How well the batches so far are stored."""
        return self._count.site(self.interval)
