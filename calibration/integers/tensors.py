"""Hold tensors of calibration images in three bytes a value, and count how well their codes store them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.integers.stored_site import StoredSite, decibels

_CODES: Final = INT8_MAX - INT8_MIN + 1

Pair = tuple[Any, Any]  # float values of a batch and those of the quantized network: float32 tensors


class SiteCount:
    """Count what `StoredSite` reports of one tensor, batch by batch."""

    def __init__(self, affine: Affine) -> None:
        self._affine = affine
        self._table = affine.dequantize(np.arange(INT8_MIN, INT8_MAX + 1))
        self._used = np.zeros(_CODES, np.int64)
        self._clipped = 0
        self._signal, self._noise = 0.0, 0.0

    def add(self, floats: Any, quantized: Any, rounded: Any, codes: NDArray[np.uint8]) -> None:
        """Count one more batch: float values, those that were rounded, what they were rounded to, and its codes.

        All have the same shape; codes begin at 0.
        """
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

    def codes(self, values: Any) -> Any:
        """The codes of `values`, from 0 to 255, rounded half to even: whole numbers in float32."""
        scale, zero = self._scale_and_zero()
        return tf.clip_by_value(tf.round(values / scale) + zero, 0.0, _CODES - 1.0)

    def values(self, codes: Any) -> Any:
        """What `codes`, from 0 to 255 in any type, stand for; float32."""
        scale, zero = self._scale_and_zero()
        return (tf.cast(codes, tf.float32) - zero) * scale

    def _scale_and_zero(self) -> tuple[np.float32, np.float32]:
        return np.float32(self.affine.scale[0]), np.float32(self.affine.zero_point[0] - INT8_MIN)


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

    @property
    def grid(self) -> Grid:
        """The codes of the tensor."""
        return Grid(affine=self.affine)

    def add(self, floats: Any, quantized: Any) -> Pair:
        """Append a batch (n, height, width, channels) of float values and of those to be rounded to codes.

        Returns the float values and the rounded ones.
        """
        codes = self.grid.codes(quantized)
        rounded, stored = self.grid.values(codes), tf.cast(codes, tf.uint8).numpy()
        self._count.add(floats, quantized, rounded, stored)
        self._floats.append(tf.cast(floats, tf.float16).numpy())
        self._codes.append(stored)
        return floats, rounded

    def pairs(self) -> Iterator[Pair]:
        """Float and dequantized values of each batch, float32."""
        for floats, codes in zip(self._floats, self._codes, strict=True):
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
        return sum(codes.size for codes in self._codes)

    def site(self) -> StoredSite:
        """How well the batches so far are stored."""
        return self._count.site(self.interval)
