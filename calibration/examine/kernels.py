"""Operators without weights in integers, code for code as LiteRT computes them with XNNPACK.

All take and give whole steps, (code - zero point), as float32 tensors; the caller cuts what they give to the codes.
ADD and MULTIPLY are XNNPACK's, as are the tables of LEAKY_RELU and LOGISTIC; AVERAGE_POOL_2D and the other tables are
LiteRT's builtin kernels, which XNNPACK leaves them to.
Sources: XNNPACK, src/microparams-init.c and src/qs8-vadd, qs8-vmul; tensorflow/lite/kernels/internal/reference/
integer_ops/pooling.h.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, INT8_MIN, Affine
from mbexport.calibration.tables import has_table, litert_table

_ADD_BITS: Final = 20  # of the larger multiplier, behind its first

Kernel = Callable[[Sequence[Any]], Any]
_layers = tf_keras.layers


def kernel_of(layer: Any, taken: Sequence[Affine], made: Affine) -> Kernel | None:
    """The kernel of an operator whose operands are stored as `taken` and whose result is stored as `made`.

    None for one that only rescales the result of its float arithmetic: a mean, and a concatenation.
    """
    if isinstance(layer, _layers.Add):
        return Addition.of(taken, made)
    if isinstance(layer, _layers.Multiply):
        scale = np.float32(taken[0].scale[0]) * np.float32(taken[1].scale[0]) / np.float32(made.scale[0])
        return Multiplication(scale=scale)
    if isinstance(layer, _layers.AveragePooling2D):
        return AveragePooling(layer=layer, zero_point=made.zero_point[0])
    return Table.of(layer, taken[0], made) if has_table(layer) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A sum in fixed point: each operand times a whole `multiplier`, divided by 2 ** `shift`, rounded half up."""

    multipliers: tuple[float, float]
    shift: int

    @classmethod
    def of(cls, taken: Sequence[Affine], made: Affine) -> "Addition":
        """The sum of two tensors. The larger multiplier has 21 bits."""
        ratios = [np.float32(each.scale[0]) / np.float32(made.scale[0]) for each in taken]
        shift = _ADD_BITS - (math.frexp(float(max(ratios)))[1] - 1)
        first, second = (float(np.rint(np.float64(ratio) * 2.0**shift)) for ratio in ratios)
        return cls(multipliers=(first, second), shift=shift)

    def __call__(self, operands: Sequence[Any]) -> Any:
        # Products have up to 30 bits: float32 would round them.
        first, second = (tf.cast(x, tf.float64) * by for x, by in zip(operands, self.multipliers, strict=True))
        return tf.cast(tf.floor((first + second) * 2.0**-self.shift + 0.5), tf.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplication:
    """A product times one float32, rounded half to even."""

    scale: np.float32

    def __call__(self, operands: Sequence[Any]) -> Any:
        first, second = operands
        return tf.round(first * second * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePooling:
    """The mean of the codes under a window, without its padding, rounded half away from code 0."""

    layer: Any
    zero_point: int

    def __call__(self, operands: Sequence[Any]) -> Any:
        codes = operands[0] + float(self.zero_point)
        mean = self._sums(codes) / self._sums(tf.ones_like(codes[:1]))
        return tf.sign(mean) * tf.floor(tf.abs(mean) + 0.5) - float(self.zero_point)

    def _sums(self, x: Any) -> Any:
        """The whole sum under each window: a mean in float32 would be off where it is a tie."""
        ones = tf.ones((*self.layer.pool_size, 1, 1))
        each = tf.transpose(x, [0, 3, 1, 2])[..., None]  # a depthwise convolution has one stride for both sides
        maps = tf.reshape(each, [-1, *each.shape[2:]])
        sums = tf.nn.conv2d(maps, ones, self.layer.strides, self.layer.padding.upper())
        return tf.transpose(tf.reshape(sums, [*each.shape[:2], *sums.shape[1:3]]), [0, 2, 3, 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A function of one number: `steps` (256,) are what it makes of the codes, the first of which is `lowest` steps."""

    steps: NDArray[np.float32]
    lowest: int

    @classmethod
    def of(cls, layer: Any, taken: Affine, made: Affine) -> "Table":
        """The table of an activation."""
        steps = litert_table(layer, taken, made) - made.zero_point[0]
        return cls(steps=steps.astype(np.float32), lowest=INT8_MIN - taken.zero_point[0])

    def __call__(self, operands: Sequence[Any]) -> Any:
        # What reads a layer that is left in float gets numbers between the codes, and beyond them.
        place = tf.clip_by_value(operands[0] - float(self.lowest), 0.0, float(CODE_STEPS))
        below = tf.floor(place)
        low, high = (tf.gather(self.steps, tf.cast(at, tf.int32)) for at in (below, tf.math.ceil(place)))
        return tf.round(low + (high - low) * (place - below))
