"""Build the canonical network of an imported model: the tf_keras layers that the exporter knows, from its entries."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tf_keras

from mbexport.models.activations import HardSigmoid as HardSigmoidLayer
from mbexport.models.activations import HardSwish as HardSwishLayer
from mbexport.models.facts import INPUT_NAME, Output
from mbexport.models.graph import argument
from mbexport.models.keras_import.entries import Canonical
from mbexport.models.keras_import.step_graph import IMAGE
from mbexport.models.keras_import.steps import (
    Array,
    Average,
    Clip,
    Concatenate,
    Convolve,
    HardSigmoid,
    HardSwish,
    Leak,
    Maximum,
    Normalize,
    Pad,
    Pool,
    Product,
    Step,
    Sum,
    clean_name,
)

_layers = tf_keras.layers
_PREDICTIONS: Final = "predictions"
Built = tuple[Any, list[Array]]  # a layer, and its weights in Keras' order


def network_of(canonical: Canonical) -> tuple[tf_keras.Model, list[str], str]:
    """The network, (batch, height, width, channels) float32 to (batch, classes) float32.

    Then the name of each entry's layer, and of the layer that gives the scores.
    """
    names: set[str] = {INPUT_NAME}
    image = _layers.Input(canonical.input_shape, name=INPUT_NAME)
    built = [layer_of(entry.step, name=_unique(entry.step.name, names)) for entry in canonical.entries]
    tensors = {IMAGE: image}
    for number, (entry, (layer, _)) in enumerate(zip(canonical.entries, built, strict=True)):
        tensors[number] = layer(argument([tensors[each] for each in entry.inputs]))
    output = canonical.output
    x = _layers.Reshape((output.shape[2],), name=_unique(output.end, names))(tensors[output.source])
    name = output.output_name or _PREDICTIONS
    if output.output is Output.SOFTMAX:
        x = _layers.Softmax(name=_unique(name, names))(x)
    elif output.output is Output.SIGMOID:
        x = _layers.Activation("sigmoid", name=_unique(name, names))(x)
    for layer, weights in built:
        layer.set_weights([value.astype(np.float32) for value in weights])
    network = tf_keras.Model(image, x, name="imported")
    return network, [layer.name for layer, _ in built], network.layers[-1].name


def layer_of(step: Step, *, name: str) -> Built:
    """The layer of one step, and its weights."""
    return _MAKERS[type(step)](step, name)


def _convolution(step: Convolve, name: str) -> Built:
    kernel, bias = step.kernel, step.bias
    shared = {"strides": step.strides, "padding": step.padding, "use_bias": bias is not None, "name": name}
    if step.is_depthwise:
        layer = _layers.DepthwiseConv2D(kernel.shape[:2], depth_multiplier=kernel.shape[3], **shared)
    else:
        layer = _layers.Conv2D(kernel.shape[3], kernel.shape[:2], **shared)
    return layer, [kernel] if bias is None else [kernel, bias]


def _normalization(step: Normalize, name: str) -> Built:
    layer = _layers.BatchNormalization(epsilon=step.epsilon, name=name)
    return layer, [step.gamma, step.beta, step.mean, step.variance]


def _pooling(step: Pool, name: str) -> Built:
    """Windows; the largest value of the whole map is one of a window as large."""
    if step.window is None:
        return _layers.GlobalAveragePooling2D(keepdims=True, name=name), []
    kind = _layers.AveragePooling2D if isinstance(step, Average) else _layers.MaxPooling2D
    return kind(step.window.size, step.window.strides, step.window.padding, name=name), []


_MAKERS: Final[Mapping[type[Step], Callable[[Any, str], Built]]] = MappingProxyType(
    {
        Pad: lambda step, name: (_layers.ZeroPadding2D(step.amounts, name=name), []),
        Convolve: _convolution,
        Normalize: _normalization,
        Clip: lambda step, name: (_layers.ReLU(step.ceiling, name=name), []),
        Leak: lambda step, name: (_layers.LeakyReLU(step.slope, name=name), []),
        HardSigmoid: lambda _, name: (HardSigmoidLayer(name=name), []),
        HardSwish: lambda _, name: (HardSwishLayer(name=name), []),
        Average: _pooling,
        Maximum: _pooling,
        Sum: lambda _, name: (_layers.Add(name=name), []),
        Product: lambda _, name: (_layers.Multiply(name=name), []),
        Concatenate: lambda _, name: (_layers.Concatenate(name=name), []),
    }
)


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number from 2 on if it is taken; adds it to `taken`."""
    base = candidate = clean_name(name)
    number = 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{base}_{number}"
    taken.add(candidate.lower())
    return candidate
