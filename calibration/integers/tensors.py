"""Hold tensors of calibration images in three bytes a value, and count how well their codes store them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.integers.stored_site import StoredSite, decibels

_BITS: Final = 8
_CODES: Final = 1 << _BITS
_COUNTED: Final = 2_000_000  # values of a tensor: more say nothing new about how well its codes store it

Pair = tuple[Any, Any]  # float values of a batch and those of the quantized network: float32 tensors


class SiteCount:
    """Count what `StoredSite` reports of one tensor, batch by batch, until there were enough values."""

    def __init__(self, affine: Affine) -> None:
        self._affine = affine
        self._left = _COUNTED
        self._table = affine.dequantize(np.arange(INT8_MIN, INT8_MAX + 1))
        self._used = np.zeros(_CODES, np.int64)
        self._clipped = 0
        self._signal, self._noise = 0.0, 0.0

    def add(self, floats: Any, quantized: Any, rounded: Any, codes: NDArray[np.uint8]) -> None:
        """Count one more batch: float values, those that were rounded, what they were rounded to, and its codes.

        All have the same shape; codes begin at 0.
        """
        if self._left <= 0:
            return
        self._left -= codes.size
        half = self._affine.scale[0] / 2
        is_outside = (quantized < self._table[0] - half) | (quantized > self._table[-1] + half)
        self._clipped += int(tf.math.count_nonzero(is_outside))
        self._used += np.bincount(codes.ravel(), minlength=_CODES)
        self._signal += float(tf.reduce_sum(tf.square(floats)))
        self._noise += float(tf.reduce_sum(tf.square(floats - rounded)))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The 256 codes of a tensor: what its values are rounded to, in TensorFlow's float32."""

    affine: Affine

    def rounded(self, values: Any) -> Any:
        """What the codes of `values` stand for, in one operation; a tie goes to the larger code."""
        scale, zero = self._scale_and_zero()
        low, high = -zero * scale, (_CODES - 1 - zero) * scale
        return tf.quantization.fake_quant_with_min_max_args(values, low, high, num_bits=_BITS)

    def codes(self, rounded: Any) -> Any:
        """The codes, uint8 from 0 to 255, of values that `rounded` gave."""
        scale, zero = self._scale_and_zero()
        return tf.cast(rounded * np.float32(1 / scale) + (zero + np.float32(0.5)), tf.uint8)

    def stored(self, floats: Any, rounded: Any) -> tuple[Any, Any]:
        """What is kept of float values and of those that `rounded` gave: half precision, and codes."""
        return tf.cast(floats, tf.float16), self.codes(rounded)

    def values(self, codes: Any) -> Any:
        """What `codes`, uint8 from 0 to 255, stand for; float32."""
        scale, zero = self._scale_and_zero()
        return (tf.cast(codes, tf.float32) - zero) * scale

    def _scale_and_zero(self) -> tuple[np.float32, np.float32]:
        return np.float32(self.affine.scale[0]), np.float32(self.affine.zero_point[0] - INT8_MIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """The batches of a tensor: its float values in half precision, and the codes that the quantized layers give.

    Three bytes a value. Both are in the units of the quantized network, whose channels may have been scaled. They are
    read `together` images at a time, however they came.
    """

    interval: Range
    affine: Affine
    together: int = 1
    _count: SiteCount
    _floats: list[NDArray[np.float16]] = field(default_factory=list)
    _codes: list[NDArray[np.uint8]] = field(default_factory=list)

    @classmethod
    def of(cls, interval: Range) -> "StoredTensor":
        """A tensor without any batch yet, whose codes stand for values in `interval`."""
        affine = activation_affine(interval)
        return cls(interval=interval, affine=affine, _count=SiteCount(affine))

    @property
    def grid(self) -> Grid:
        """The codes of the tensor."""
        return Grid(affine=self.affine)

    def add(self, floats: Any, quantized: Any) -> None:
        """Append and count a batch (n, height, width, channels): float values, and those to be rounded to codes."""
        rounded = self.grid.rounded(quantized)
        half, codes = self.grid.stored(floats, rounded)
        self._count.add(floats, quantized, rounded, codes.numpy())
        self.append(half, codes)

    def append(self, half: Any, codes: Any) -> None:
        """Append what `Grid.stored` gave of a batch."""
        self._floats.append(half.numpy())
        self._codes.append(codes.numpy())

    def pairs(self) -> Iterator[Pair]:
        """Float and dequantized values of each batch, float32."""
        groups = (_regrouped(arrays, self.together) for arrays in (self._floats, self._codes))
        for floats, codes in zip(*groups, strict=True):
            yield tf.cast(floats, tf.float32), self.grid.values(codes)

    @property
    def channels(self) -> int:
        """How many channels the batches have."""
        return int(self._codes[0].shape[-1])

    @property
    def images(self) -> int:
        """How many images the batches have."""
        return sum(len(codes) for codes in self._codes)

    @property
    def size(self) -> int:
        """How many values the batches have."""
        return sum(math.prod(codes.shape) for codes in self._codes)

    def site(self) -> StoredSite:
        """How well the batches that were counted are stored."""
        return self._count.site(self.interval)


def _regrouped(arrays: Iterable[NDArray[Any]], size: int) -> Iterator[NDArray[Any]]:
    """The same images, `size` of them at a time; the last may be fewer."""
    waiting: list[NDArray[Any]] = []
    for array in arrays:
        waiting.append(array)
        if sum(map(len, waiting)) < size:
            continue
        whole = np.concatenate(waiting) if len(waiting) > 1 else array
        end = len(whole) - len(whole) % size
        yield from (whole[start : start + size] for start in range(0, end, size))
        waiting = [whole[end:]] if end < len(whole) else []
    if waiting:
        yield np.concatenate(waiting)
