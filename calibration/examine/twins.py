"""Turns a float network and the quantized one into steps that compute the same tensor: in float, and in integers.

The integers are those of the artifact: 8-bit codes times 8-bit codes, summed with a 32-bit bias, multiplied by one
float32 a channel and rounded half to even, as XNNPACK does it, which multiplies the scales in float32, too. Their
sums stay below 2 ** 24, where float32 is exact, so that TensorFlow's convolutions compute them code for code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.integers.arrangement import Arrangement
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import scaled_weights
from mbexport.calibration.qat.fake_quant import Largest
from mbexport.calibration.ranges.ranges import Ranges
from mbexport.calibration.steps import Step, steps_of

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One step of both networks, between tensors in steps of the quantized one's codes: (code - zero point), float32.

    `floats` and `integers` are kernel and bias, None for a step without a convolution; `multiplier` turns their sums,
    or what such a step makes, into steps of the output. `zero` and `ceiling` (channels,) are where float's values begin
    and end, `ceiling` None without a ReLU; `lowest` and `highest` are what the output's codes hold. `units` (channels,)
    are what a step of the output stands for in the float network, whose channels nothing multiplied or shifted.
    """

    step: Step
    floats: tuple[Array, Array] | None
    integers: tuple[Array, Array] | None
    multiplier: Array
    zero: Array
    ceiling: Array | None
    lowest: float
    highest: float
    units: Array

    @property
    def layer(self) -> str:
        """The convolution's name, or that of the layer that the step has in its place."""
        return str(self.step.convolution.name if self.step.convolution is not None else self.step.site)

    def in_float(self, x: Any) -> Any:
        """What float arithmetic makes of `x` (n, height, width, channels), whichever network that came from."""
        x = self.step.prepare(x)
        x = x * self.multiplier if self.floats is None else self.step.convolve(x, *self.floats)
        return x if self.ceiling is None else tf.clip_by_value(x, self.zero, self.ceiling)

    def in_integers(self, x: Any) -> Any:
        """What the artifact makes of it: whole steps."""
        x = self.step.prepare(x)
        if self.integers is not None:
            x = self.step.convolve(x, *self.integers)
        return tf.clip_by_value(tf.round(x * self.multiplier), self.lowest, self.highest)


def twins_of(
    floats: tf_keras.Model,
    quantized: tf_keras.Model,
    *,
    entry: Range,
    ranges: Ranges,
    largest: Largest,
    arrangement: Arrangement,
) -> list[Twin]:
    """The steps of two folded networks up to their logits, in order.

    `quantized` has the weights that were decided, its input the range `entry`, its activations `ranges`, and in each
    channel code 127 stands for `largest`; `arrangement` is how its channels are stored.
    """
    twins = []
    given, incoming = activation_affine(entry), Scaling.none(floats.input_shape[-1])
    for step, integer in zip(arrangement.steps(floats), steps_of(quantized), strict=True):
        made, outgoing = activation_affine(ranges[step.site]), arrangement.scalings[step.site]
        name = None if step.convolution is None else step.convolution.name
        scales = largest[name] / INT8_MAX if name else np.ones(1)
        stored = outgoing.in_steps(made.scale[0])
        twins.append(
            Twin(
                step=step,
                floats=name and scaled_weights(step, incoming=incoming.in_steps(given.scale[0]), outgoing=stored),
                integers=name and _codes(integer.convolution, scales, input_scale=given.scale[0]),
                multiplier=np.float32(given.scale[0]) * scales.astype(np.float32) / np.float32(made.scale[0]),
                zero=_in_steps(0.0, stored),
                ceiling=None if step.ceiling is None else _in_steps(step.ceiling, stored),
                units=(1 / stored.factors).astype(np.float32),
                **_ends(step, made),
            )
        )
        given, incoming = made, outgoing
    return twins


def _in_steps(value: float, stored: Scaling) -> Array:
    """What `value` is in each channel, (channels,)."""
    steps: Array = ((value - stored.shifts) * stored.factors).astype(np.float32)
    return steps


def _codes(convolution: Any, scales: NDArray[np.float64], *, input_scale: float) -> tuple[Array, Array]:
    """Kernel and bias in multiples of their scales; training may have left them between two."""
    kernel, bias = convolution.get_weights()
    codes = np.rint(kernel.reshape(-1, len(bias)) / scales).clip(-INT8_MAX, INT8_MAX).reshape(kernel.shape)
    return codes.astype(np.float32), np.rint(bias / (scales * input_scale)).astype(np.float32)


def _ends(step: Step, made: Affine) -> dict[str, float]:
    """The fewest and the most steps that the output may have: its codes, and what its ReLU cuts at."""
    lowest, highest = float(INT8_MIN - made.zero_point[0]), float(INT8_MAX - made.zero_point[0])
    if step.ceiling is None:
        return {"lowest": lowest, "highest": highest}
    return {"lowest": max(lowest, 0.0), "highest": min(highest, float(np.rint(step.ceiling / made.scale[0])))}
