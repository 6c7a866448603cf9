"""Read the weights of one layer of a detector out of the graph of a file, if the layer is the one that is expected."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tf_keras

from mbexport.errors import DataError
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import Array, Clip, Convolve, Normalize, Scale, Step

Read = tuple[list[Array], int]  # the weights of a layer, and the number of the value that it reads


def _read_convolution(graph: StepGraph, value: int, layer: Any) -> Read:
    """Kernel and bias of a convolution; in graphs the bias is added by an operation of its own."""
    found, bias = value, None
    step = _step_of(graph, value)
    if layer.use_bias and isinstance(step, Scale) and np.all(step.factor == 1):
        (found,) = graph.nodes[value].inputs
        bias, step = step.shift, _step_of(graph, found)
    is_depthwise = isinstance(layer, tf_keras.layers.DepthwiseConv2D)
    wanted = _words(tuple(layer.weights[0].shape), layer.strides, layer.padding, is_depthwise=is_depthwise)
    if not isinstance(step, Convolve):
        raise _other(layer, wanted, step)
    bias = step.bias if bias is None else bias
    got = _words(step.kernel.shape, step.strides, step.padding, is_depthwise=step.is_depthwise)
    if got != wanted or (bias is not None) != layer.use_bias:
        raise _other(layer, _with_bias(wanted, layer.use_bias), step, _with_bias(got, bias is not None))
    return [step.kernel] if bias is None else [step.kernel, bias.reshape(-1)], graph.nodes[found].inputs[0]


def _read_normalization(graph: StepGraph, value: int, layer: Any) -> Read:
    """The four vectors of batch normalization; graphs of Keras 3 scale and shift instead, which is the same."""
    step, channels = _step_of(graph, value), int(layer.weights[0].shape[0])
    if isinstance(step, Normalize) and np.isclose(step.epsilon, layer.epsilon, rtol=1e-5):
        vectors, source = [step.gamma, step.beta, step.mean, step.variance], graph.nodes[value].inputs[0]
    elif isinstance(step, Scale):
        factor, shift, source = _scaling(graph, value)
        ones = np.ones(channels)
        vectors = [factor * np.sqrt(1 + layer.epsilon) * ones, shift * ones, 0 * ones, ones]
    else:
        raise _other(layer, f"a batch normalization with epsilon {layer.epsilon:g}", step)
    if any(vector.shape != (channels,) for vector in vectors):
        raise _other(layer, f"a batch normalization of {channels} channels", step)
    return vectors, source


def _scaling(graph: StepGraph, value: int) -> tuple[Array, Array, int]:
    """The factor and the shift of all scalings that follow one another up to a value, and what the first reads."""
    factor, shift = np.ones(1), np.zeros(1)
    while value != IMAGE and isinstance(step := graph.nodes[value].step, Scale):
        factor, shift = factor * step.factor.reshape(-1), shift + factor * step.shift.reshape(-1)
        (value,) = graph.nodes[value].inputs
    return factor, shift, value


def _read_activation(graph: StepGraph, value: int, layer: Any) -> Read:
    step, ceiling = _step_of(graph, value), float(layer.max_value)
    if not isinstance(step, Clip) or step.ceiling != ceiling:
        got = f"a ReLU with ceiling {step.ceiling}" if isinstance(step, Clip) else ""
        raise _other(layer, f"a ReLU with ceiling {ceiling:g}", step, got)
    return [], graph.nodes[value].inputs[0]


# By the class of the layer that is expected. Each raises `DataError` for a value that another layer gives.
READERS: Final[Mapping[str, Callable[[StepGraph, int, Any], Read]]] = MappingProxyType(
    {
        **dict.fromkeys(("Conv2D", "DepthwiseConv2D"), _read_convolution),
        "BatchNormalization": _read_normalization,
        "ReLU": _read_activation,
    }
)


def _step_of(graph: StepGraph, value: int) -> Step | None:
    """The step that gives a value; None for the image."""
    return None if value == IMAGE else graph.nodes[value].step


def _words(kernel: tuple[int, ...], strides: tuple[int, int], padding: str, *, is_depthwise: bool) -> str:
    kind = "depthwise convolution" if is_depthwise else "convolution"
    return f"a {kind} with kernel {tuple(map(int, kernel))}, strides {tuple(strides)} and padding {padding}"


def _with_bias(words: str, has_bias: bool) -> str:
    return f"{words}, {'with' if has_bias else 'without'} bias"


def _other(layer: Any, wanted: str, step: Step | None, got: str = "") -> DataError:
    name = "the image" if step is None else f"{step.name} ({got or type(step).__name__})"
    return DataError(f"in place of the layer {layer.name} there must be {wanted}, got {name}")
