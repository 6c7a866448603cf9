"""Turns the values of one stored tensor, of all calibration images, into what fits the memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.sites import SiteCount, StoredSite

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor batch by batch: what float arithmetic gives, in half precision, and what quantized layers really give.

    Three bytes a value. Both are in the units of the quantized network, whose channels may have been scaled.
    """

    interval: Range
    affine: Affine
    _count: SiteCount
    _floats: list[NDArray[np.float16]] = field(default_factory=list)
    _codes: list[NDArray[np.uint8]] = field(default_factory=list)

    @classmethod
    def of(cls, interval: Range) -> "StoredTensor":
        """One without any batch yet, whose codes stand for values in `interval`."""
        affine = activation_affine(interval)
        return cls(interval=interval, affine=affine, _count=SiteCount(affine))

    def add(self, floats: Array, quantized: Array) -> None:
        """One more batch (n, height, width, channels); `quantized` is what is rounded to codes."""
        codes = (self.affine.quantize(quantized) - INT8_MIN).astype(np.uint8)
        self._count.add(floats, quantized, codes)
        self._floats.append(floats.astype(np.float16))
        self._codes.append(codes)

    def pairs(self, *, at_most: int | None = None) -> Iterator[tuple[Array, Array]]:
        """Float and dequantized values of each batch, of only so many images that there are about `at_most` values."""
        every = max(1, -(-self.size // at_most)) if at_most else 1
        for floats, codes in zip(self._floats, self._codes, strict=True):
            if len(codes[::every]):
                real = self.affine.dequantize(codes[::every].astype(np.int32) + INT8_MIN)
                yield floats[::every].astype(np.float32), real

    @property
    def size(self) -> int:
        """How many values there are."""
        return sum(codes.size for codes in self._codes)

    def site(self) -> StoredSite:
        """How well its batches so far are stored."""
        return self._count.site(self.interval)
