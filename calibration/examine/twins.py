"""Twins: the steps of a float network and of the quantized one, side by side, in float and in integers.

The integers are those of the artifact: 8-bit codes times 8-bit codes, summed with a 32-bit bias, multiplied by one
float32 a channel and rounded half to even, as XNNPACK does it, which multiplies the scales in float32, too. Their
sums stay below 2 ** 24, where float32 is exact, so that TensorFlow's convolutions compute them code for code.
Operators without weights are those of `kernels`. A convolution that was kept in float multiplies codes by float weights
and has its sums rounded to codes in the same way.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.examine.kernels import Kernel, kernel_of
from mbexport.calibration.integers.arrangement import Arrangement
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import scaled_weights
from mbexport.calibration.qat.fake_quant import LargestWeights
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.steps import Step, as_step, steps_of
from mbexport.models.graph import entry_of, walk

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One step of both networks, between tensors in steps of the quantized one's codes: (code - zero point), float32.

    `floats` and `integers` are kernel and bias, None for a step without a convolution, and `integers` not whole where
    the artifact has the layer in float; `multiplier` turns their sums,
    or what such a step makes, into steps of the output. `kernel` computes an operator that does more than that in
    integers; in float its tensors are first multiplied by their own scales, `input_scales`, which are empty otherwise.
    `zero` and `ceiling` (channels,) are where float's values begin and end, `ceiling` None without a ReLU; `lowest`
    and `highest` are what the output's codes hold. `units` (channels,) are what a step of the output stands for in the
    float network, whose channels nothing multiplied or shifted.
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
    input_scales: tuple[float, ...] = ()
    kernel: Kernel | None = None

    @property
    def name(self) -> str:
        """The step's own name, by which other twins know the tensor."""
        return self.step.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the tensors that the step reads."""
        return self.step.inputs

    @property
    def is_output(self) -> bool:
        """Whether the network gives the tensor out."""
        return self.step.is_output

    @property
    def layer(self) -> str:
        """The name of the convolution, or of the layer that a step without one has in its place."""
        return str(self.step.convolution.name if self.step.convolution is not None else self.step.site)

    def in_float(self, *tensors: Any) -> Any:
        """What float arithmetic makes of `tensors` (n, height, width, channels), whichever network those came from."""
        if self.input_scales:
            tensors = tuple(x * scale for x, scale in zip(tensors, self.input_scales, strict=True))
        x = self.step.prepare(*tensors)
        x = x * self.multiplier if self.floats is None else self.step.convolve(x, *self.floats)
        return x if self.ceiling is None else tf.clip_by_value(x, self.zero, self.ceiling)

    def kept(self, *tensors: Any) -> Any:
        """What the artifact would make of `tensors` if the step stayed in float: its codes, in whole steps."""
        return tf.clip_by_value(tf.round(self.in_float(*tensors)), self.lowest, self.highest)

    def in_integers(self, *tensors: Any) -> Any:
        """What the artifact makes of `tensors`: whole steps."""
        if self.kernel is not None:
            return tf.clip_by_value(self.kernel(self.step.operands(*tensors)), self.lowest, self.highest)
        x = self.step.prepare(*tensors)
        if self.integers is not None:
            x = self.step.convolve(x, *self.integers)
        return tf.clip_by_value(tf.round(x * self.multiplier), self.lowest, self.highest)


def run_in_float(twins: Sequence[Twin], x: Any) -> Iterator[tuple[Twin, Any]]:
    """Each twin with its tensor in the float network, whose input is `x`, in order."""
    return walk(twins, {entry_of(twins): x}, lambda twin, tensors: twin.in_float(*tensors))


def run_in_integers(twins: Sequence[Twin], x: Any) -> Iterator[tuple[Twin, Any]]:
    """Each twin with its tensor in the quantized network, whose input is `x`, in order."""
    return walk(twins, {entry_of(twins): x}, lambda twin, tensors: twin.in_integers(*tensors))


def twins_of(
    floats: tf_keras.Model,
    quantized: tf_keras.Model,
    *,
    entry: Range,
    ranges: Ranges,
    largest: LargestWeights,
    arrangement: Arrangement,
    kept: Collection[str] = (),
) -> list[Twin]:
    """Pair the steps of two folded networks up to their logits, in order.

    `quantized` has the weights that were decided, its input the range `entry`, its activations `ranges`, and in each
    channel code 127 stands for `largest`; `arrangement` is how its channels are stored; its convolutions `kept` stayed
    in float.
    """
    steps = arrangement.steps(floats)
    integers = {step.site: step for step in steps_of(quantized)}
    image = _Stored(affine=activation_affine(entry), scaling=Scaling.none(floats.input_shape[-1]))
    stored = {entry_of(steps): image} | {
        step.site: _Stored(affine=activation_affine(ranges[step.site]), scaling=arrangement.scalings[step.site])
        for step in steps
    }
    return [_twin(step, integers[step.site], stored, largest, kept) for step in steps]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """How a tensor is stored: its codes, and its channels."""

    affine: Affine
    scaling: Scaling

    @property
    def scale(self) -> float:
        return self.affine.scale[0]

    def in_codes(self) -> Scaling:
        """The scaling of the channels in steps of codes."""
        return self.scaling.in_steps(self.scale)


def _twin(
    step: Step, integer: Step, tensors: Mapping[str, _Stored], largest: LargestWeights, kept: Collection[str]
) -> Twin:
    """The twin of a float step and its quantized one, between stored `tensors`, which are given by site."""
    given, output = tensors[step.inputs[0]], tensors[step.site]
    stored, floats, integers, scales, kernel = output.in_codes(), None, None, np.ones(1), None
    if step.convolution is not None:
        floats = scaled_weights(step, incoming=given.in_codes(), outgoing=stored)
        if step.convolution.name in kept:
            integers = _unrounded(integer, input_scale=given.scale)
        else:
            scales = largest[step.convolution.name] / INT8_MAX
            integers = _codes(integer.convolution, scales, input_scale=given.scale)
    elif step.operator is not None:
        kernel = kernel_of(step.operator.layer, [tensors[name].affine for name in step.sources()], output.affine)
    input_scale = np.float32(1 if kernel else given.scale)
    return Twin(
        step=step,
        floats=floats,
        integers=integers,
        multiplier=input_scale * scales.astype(np.float32) / np.float32(output.scale),
        zero=_in_steps(0.0, stored),
        ceiling=None if step.ceiling is None else _in_steps(step.ceiling, stored),
        units=(1 / stored.factors).astype(np.float32),
        input_scales=tuple(tensors[name].scale for name in step.inputs) if kernel else (),
        kernel=kernel,
        **_ends(step, output.affine),
    )


def _in_steps(value: float, stored: Scaling) -> Array:
    """`value` of float in steps of each channel's codes, (channels,)."""
    steps: Array = ((value - stored.shifts) * stored.factors).astype(np.float32)
    return steps


def _codes(convolution: Any, scales: NDArray[np.float64], *, input_scale: float) -> tuple[Array, Array]:
    """Kernel and bias in whole multiples of their scales, between which training may have left them."""
    kernel, bias = convolution.get_weights()
    codes = np.rint(kernel.reshape(-1, len(bias)) / scales).clip(-INT8_MAX, INT8_MAX).reshape(kernel.shape)
    codes = as_step(convolution, codes)
    return codes.astype(np.float32), np.rint(bias / (scales * input_scale)).astype(np.float32)


def _unrounded(integer: Step, *, input_scale: float) -> tuple[Array, Array]:
    """Kernel and bias of a convolution in float, for an input in whole steps of its codes."""
    kernel, bias = integer.weights
    return kernel, (bias / np.float32(input_scale)).astype(np.float32)


def _ends(step: Step, made: Affine) -> dict[str, float]:
    """The least and the most steps that an output stored as `made` can have, by its codes and its ReLU."""
    lowest, highest = float(INT8_MIN - made.zero_point[0]), float(INT8_MAX - made.zero_point[0])
    if step.ceiling is None:
        return {"lowest": lowest, "highest": highest}
    return {"lowest": max(lowest, 0.0), "highest": min(highest, float(np.rint(step.ceiling / made.scale[0])))}
