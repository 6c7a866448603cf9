"""Fake quantization: wrap the layers of a folded network so that they compute in 8-bit steps, with tfmot.

Activations keep the ranges of calibration; weights are symmetric for each output channel, depthwise
kernels included (tfmot's own scheme gives a depthwise kernel one scale for all its channels).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Range, activation_affine, min_largest_weights, round_bias
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.ranges.ties import PROBABILITY_RANGE
from mbexport.calibration.steps import activation_sites, steps_of
from mbexport.errors import StageError
from mbexport.models.folding import gives_probabilities, is_convolution
from mbexport.models.graph import LayerNode, argument, entry_of, layers_of, outputs_of

_keras = tfmot.quantization.keras
_layers = tf_keras.layers
_BITS: Final = 8
_DEPTHWISE_AXIS: Final = 2  # (kh, kw, channels, 1)
_CONVOLUTION_AXIS: Final = 3  # (kh, kw, in, channels)
_RELU6: Final = 6.0
LargestWeights = Mapping[str, NDArray[np.float64]]  # by convolution: what code 127 stands for in each channel
PREFIX: Final = "quant_"


class FrozenRange(_keras.quantizers.Quantizer):  # type: ignore[misc, name-defined]  # tfmot publishes no types
    """Fake quantization of an activation to a range that is set before the first step and stays."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002  # tfmot's signature
        """The range as two untrainable weights, so that it is saved with the network."""
        return {
            "min": layer.add_weight(
                f"{name}_min", initializer=tf_keras.initializers.Constant(self.low), trainable=False
            ),
            "max": layer.add_weight(
                f"{name}_max", initializer=tf_keras.initializers.Constant(self.high), trainable=False
            ),
        }

    def __call__(self, inputs: Any, training: Any, weights: Any, **_: Any) -> Any:  # noqa: ARG002
        return tf.quantization.fake_quant_with_min_max_vars(inputs, weights["min"], weights["max"], _BITS)

    def get_config(self) -> dict[str, float]:
        return {"low": self.low, "high": self.high}


class PerChannelWeights(_keras.quantizers.Quantizer):  # type: ignore[misc, name-defined]
    """Fake quantization of a kernel: symmetric, each channel on `axis` with a scale that follows its largest weight.

    `least` (channels,) are the least values that the largest weights are taken for; with `is_frozen` they are taken
    for just these.
    """

    def __init__(self, axis: int, least: list[float], is_frozen: bool = False) -> None:
        self.axis, self.least, self.is_frozen = axis, least, is_frozen

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def __call__(self, inputs: Any, training: Any, weights: Any, **_: Any) -> Any:  # noqa: ARG002
        shape = inputs.shape
        has_more = self.axis == _DEPTHWISE_AXIS and shape[-1] > 1  # (kh, kw, channels, m): channels * m are made
        last = [0, 1, 3, 2] if self.axis == _DEPTHWISE_AXIS else [0, 1, 2, 3]  # fake quantization wants channels last
        kernel = tf.reshape(inputs, [*shape[:2], 1, -1]) if has_more else tf.transpose(inputs, last)
        largest = tf.constant(self.least)
        if not self.is_frozen:
            largest = tf.maximum(largest, tf.reduce_max(tf.abs(tf.stop_gradient(kernel)), axis=[0, 1, 2]))
        quantized = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -largest, largest, _BITS, narrow_range=True
        )
        return tf.reshape(quantized, shape) if has_more else tf.transpose(quantized, last)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis, "least": self.least, "is_frozen": self.is_frozen}


class LayerQuantization(_keras.QuantizeConfig):  # type: ignore[misc, name-defined]
    """How one layer is quantized: its kernel by `weights`, its output to `interval`, either or both."""

    def __init__(self, *, kernel: str | None, weights: PerChannelWeights | None, interval: Range | None) -> None:
        self.kernel, self.weights, self.interval = kernel, weights, interval

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, PerChannelWeights]]:
        return [(getattr(layer, self.kernel), self.weights)] if self.kernel and self.weights else []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:  # noqa: ARG002
        """Nothing: the output is quantized, not an activation inside."""
        return  # AutoGraph wants a statement

    def get_output_quantizers(self, layer: Any) -> list[FrozenRange]:  # noqa: ARG002
        return [FrozenRange(self.interval.low, self.interval.high)] if self.interval else []

    def get_config(self) -> dict[str, Any]:
        return {"kernel": self.kernel, "weights": self.weights, "interval": self.interval}


def fake_quantize(
    folded: tf_keras.Model,
    ranges: Ranges,
    *,
    input_scale: float,
    input_zero_point: int,
    largest: LargestWeights | None = None,
    kept: Collection[str] = (),
) -> tf_keras.Model:
    """Fake-quantize a network: the same layers and weights, every stored tensor rounded to its 256 codes.

    With `largest` the scales of the weights are frozen: those are what code 127 stands for. The weights of the
    convolutions `kept` are not rounded.
    Its input is (byte - `input_zero_point`) * `input_scale`, for which the input's fake quantization is exact.
    Raises `StageError` unless each activation, and nothing else, has a range.
    """
    _require_ranges(folded, ranges)
    entry = input_range(input_scale=input_scale, input_zero_point=input_zero_point)
    least = largest or min_largest_by_layer(folded, ranges, entry)
    is_frozen = largest is not None

    def compute(node: LayerNode, tensors: Sequence[Any]) -> Any:
        layer, x = node.layer, argument(tensors)
        output = PROBABILITY_RANGE if gives_probabilities(layer) else ranges.get(layer.name)
        copy = _copy(layer, output)
        if not (is_convolution(layer) or output):
            return copy(x)
        is_rounded = is_convolution(layer) and layer.name not in kept
        rounding = _rounding(layer, least[layer.name], is_frozen=is_frozen) if is_rounded else None
        return _wrap(copy, x, layer.get_weights(), rounding, output)

    image = _layers.Input(folded.input_shape[1:], name=folded.input_names[0])
    rounded = _wrap(_layers.Activation("linear", name="input"), image, [], None, entry)
    nodes = layers_of(folded)
    made = outputs_of(nodes, {entry_of(nodes): rounded}, compute)
    return tf_keras.Model(image, argument([made[name] for name in folded.output_names]), name=folded.name)


def input_range(*, input_scale: float, input_zero_point: int) -> Range:
    """The range of the network's input: what the bytes 0 to 255 stand for."""
    lowest, highest = -input_zero_point, INT8_MAX - INT8_MIN - input_zero_point
    return Range(low=lowest * input_scale, high=highest * input_scale)


def min_largest_by_layer(folded: tf_keras.Model, ranges: Ranges, entry: Range) -> dict[str, NDArray[np.float64]]:
    """For each channel of each convolution, the largest weight that its scale must allow for, float64 (channels,).

    `entry` is the range of the network's input.
    """
    return {
        layer.name: min_largest_weights(layer.get_weights()[1], input_scale=activation_affine(given).scale[0])
        for layer, given in _convolutions(folded, ranges, entry)
    }


def round_biases(
    folded: tf_keras.Model, ranges: Ranges, entry: Range, largest: LargestWeights, *, kept: Collection[str] = ()
) -> None:
    """Round each bias to whole steps of input scale times weight scale, as an integer artifact stores it.

    Such a step is up to a third of an output's code. Without this the simulation would differ from the file in one
    code of a thousand behind the first layer, and in every other one behind the last. The convolutions `kept` stay in
    float, and their biases as they are.
    """
    for layer, given in _convolutions(folded, ranges, entry):
        if layer.name in kept:
            continue
        kernel, bias = layer.get_weights()
        scales, input_scale = largest[layer.name] / INT8_MAX, activation_affine(given).scale[0]
        layer.set_weights([kernel, round_bias(bias, weight_scales=scales, input_scale=input_scale)])


def _convolutions(folded: tf_keras.Model, ranges: Ranges, entry: Range) -> Iterator[tuple[Any, Range]]:
    """Each convolution, and the range of the tensor that it reads."""
    for step in steps_of(folded):
        if step.convolution is not None:
            yield step.convolution, ranges.get(step.inputs[0], entry)


def _require_ranges(folded: tf_keras.Model, ranges: Ranges) -> None:
    """Raise `StageError` unless each activation site has a range: a tensor without one would stay float."""
    different = sorted(set(ranges) ^ set(activation_sites(folded)))
    if different:
        has = "one" if different[0] in ranges else "none"
        raise StageError(
            f"each activation of the network, and nothing else, must have a range, got {has} for {different[0]}"
        )


def _copy(layer: Any, output: Range | None) -> Any:
    """The layer anew, for an output that is rounded to the range `output`.

    TFLite's convolutions take in RELU and RELU6 alone; any other ceiling would stand between a convolution and its
    codes, and keep it in floats. It is not needed: the codes end there.
    """
    config = layer.get_config()
    if isinstance(layer, _layers.ReLU) and layer.max_value not in (None, _RELU6) and output:
        config["max_value"] = None if output.high <= layer.max_value else layer.max_value
    if isinstance(layer, _layers.Dropout):
        config["rng_type"] = "stateful"  # else a checkpoint could not hold its position
    return type(layer).from_config(config)


def _kernel_of(layer: Any) -> str | None:
    if isinstance(layer, _layers.DepthwiseConv2D):
        return "depthwise_kernel"
    return "kernel" if is_convolution(layer) else None


def _rounding(layer: Any, least: NDArray[np.float64], *, is_frozen: bool) -> PerChannelWeights:
    axis = _DEPTHWISE_AXIS if isinstance(layer, _layers.DepthwiseConv2D) else _CONVOLUTION_AXIS
    return PerChannelWeights(axis, least.tolist(), is_frozen)


def _wrap(layer: Any, x: Any, weights: list[Any], rounding: PerChannelWeights | None, interval: Range | None) -> Any:
    layer.build([each.shape for each in x] if isinstance(x, list) else x.shape)
    layer.set_weights(weights)  # before wrapping: the wrapper puts a tensor in the kernel's place
    config = LayerQuantization(kernel=_kernel_of(layer) if rounding else None, weights=rounding, interval=interval)
    return _keras.QuantizeWrapperV2(layer, config, name_prefix=PREFIX)(x)


def float_weights(quantized: tf_keras.Model) -> dict[str, list[Any]]:
    """By the name it has in the folded network, the unrounded kernel and bias of each convolution; float32 arrays."""
    found = {}
    for wrapper in quantized.layers:
        if isinstance(wrapper, _keras.QuantizeWrapperV2) and is_convolution(wrapper.layer):
            by_name = {weight.name.rsplit("/", 1)[-1]: weight.numpy() for weight in wrapper.trainable_weights}
            kernel = next(value for name, value in by_name.items() if "kernel" in name)
            found[wrapper.layer.name] = [kernel, by_name["bias:0"]]
    return found
