"""Fold batch normalization into the convolutions before it: what remains is calibrated and quantized.

In inference mode BN is y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, a scale and a shift for each
channel, so the convolution before it can carry both (Jacob et al. 2018, arXiv 1712.05877, section 3.2, with the
statistics frozen).

Layers for which there is no integer kernel are written as others that compute the same: a hard-sigmoid is a
convolution and a clip, a sum of many is one of two after another.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.activations import SHIFT, SLOPE, HardSigmoid
from mbexport.models.graph import LayerNode, argument, entry_of, layers_of, only_readers, outputs_of
from mbexport.models.preprocess import Preprocess

_layers = tf_keras.layers
Weights = list[NDArray[np.float32]]


def fold_batch_norm(model: tf_keras.Model, *, preprocess: Preprocess | None = None) -> tf_keras.Model:
    """The network of the same layers, where every convolution has a bias and no batch normalization follows it.

    A hard-sigmoid becomes a ReLU(1) of its name, behind the convolution before it, which takes in its slope, or behind
    a 1x1 depthwise one of its own. A sum or product of many becomes several of two, of which the last has its name;
    average pooling over the whole of its maps becomes a mean.

    With `preprocess` the result takes what its `dequantize` gives where `model` takes what its `normalize` gives:
    the first convolution absorbs the difference (exactly inside the image; at the padded border the pad stays
    zero, so it differs by the shift times the weights over the pad). Raises `StageError` for batch normalization that
    no convolution can absorb, and with `preprocess` unless a full convolution alone reads the image.
    """
    nodes = layers_of(model)
    weights = _folded_weights(nodes)
    if preprocess:
        _take_dequantized(nodes, weights, preprocess)
    image = _layers.Input(model.input_shape[1:], name=model.input_names[0])
    made = outputs_of(nodes, {entry_of(nodes): image}, lambda node, tensors: _rewritten(node, tensors, weights))
    folded = tf_keras.Model(image, argument([made[name] for name in model.output_names]), name=model.name)
    for name, values in weights.items():
        folded.get_layer(name).set_weights(values)
    return folded


def _take_dequantized(nodes: Sequence[LayerNode], weights: dict[str, Weights], preprocess: Preprocess) -> None:
    """Rewrite the first convolution for bytes in RGB order, with one scale and the zero of the integer input."""
    first = _first_with_weights(nodes, weights)
    if isinstance(first.layer, _layers.DepthwiseConv2D):
        raise StageError(f"the first layer with weights must be a full convolution, got {first.name}")
    kernel, bias = weights[first.name]
    shift = np.array(preprocess.input_shift, np.float32)
    gain = np.array(preprocess.input_gain, np.float32)
    shifted = bias + (kernel * shift[:, None]).sum(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    scaled = kernel * gain[:, None]
    weights[first.name] = [scaled[:, :, ::-1] if preprocess.normalization.is_bgr else scaled, shifted]


def _first_with_weights(nodes: Sequence[LayerNode], weights: Container[str]) -> LayerNode:
    """The first layer with weights. Raises `StageError` unless everything that reads the image goes through it."""
    readers, name = only_readers(nodes), entry_of(nodes)
    while name not in weights:
        if name not in readers:
            raise StageError(f"one convolution must read the image, got several readers, or none, of {name}")
        name = readers[name].name
    return next(node for node in nodes if node.name == name)


def _rewritten(node: LayerNode, tensors: Sequence[Any], weights: Container[str]) -> Any:
    """The tensor of a layer's copy, or of what stands in its place; of batch normalization, the one that it reads."""
    layer, config = node.layer, node.layer.get_config()
    if isinstance(layer, _layers.BatchNormalization):
        return tensors[0]
    if isinstance(layer, HardSigmoid):
        own = _own_convolution(node)
        x = _layers.DepthwiseConv2D(1, name=own)(tensors[0]) if own in weights else tensors[0]
        return _layers.ReLU(1.0, name=node.name)(x)
    if isinstance(layer, _layers.Add | _layers.Multiply):
        return _in_pairs(layer, tensors)
    if isinstance(layer, _layers.AveragePooling2D) and _is_mean(layer):
        return _layers.GlobalAveragePooling2D(keepdims=True, name=node.name)(tensors[0])
    if is_convolution(layer):
        config["use_bias"] = True
    return type(layer).from_config(config)(argument(tensors))


def _own_convolution(node: LayerNode) -> str:
    """The name of the convolution that a hard-sigmoid gets where none before it can take in its slope."""
    return f"{node.name}_slope"


def _in_pairs(layer: Any, tensors: Sequence[Any]) -> Any:
    """The sum or product of all tensors, two by two, in their order."""
    x, *others = tensors
    for number, other in enumerate(others, start=2):
        name = layer.name if number == len(tensors) else f"{layer.name}_{number}"
        x = type(layer)(name=name)([x, other])
    return x


def _is_mean(pooling: Any) -> bool:
    """Whether one window covers all of a map and nothing else."""
    return pooling.padding == "valid" and tuple(pooling.pool_size) == tuple(pooling.input_shape[1:3])


def is_convolution(layer: Any) -> bool:
    """Whether the layer multiplies by weights: a convolution, depthwise or not."""
    return isinstance(layer, _layers.Conv2D | _layers.DepthwiseConv2D)


def is_sigmoid(layer: Any) -> bool:
    """Whether the layer is a sigmoid."""
    return isinstance(layer, _layers.Activation) and layer.activation is tf_keras.activations.sigmoid


def gives_probabilities(layer: Any) -> bool:
    """Whether the layer is a softmax, or a sigmoid for each class by itself."""
    return is_sigmoid(layer) or isinstance(layer, _layers.Softmax)


def gives_softmax(model: tf_keras.Model) -> bool:
    """Whether the network has one output, and that is a softmax."""
    return len(model.outputs) == 1 and isinstance(model.layers[-1], _layers.Softmax)


def without_probabilities(model: tf_keras.Model) -> tf_keras.Model:
    """The network without its last softmax or sigmoid, quantized or not; the same network if it has neither."""
    last = model.layers[-1]
    if len(model.outputs) != 1 or not gives_probabilities(getattr(last, "layer", last)):
        return model
    return tf_keras.Model(model.input, last.input, name=model.name)


def _folded_weights(nodes: Sequence[LayerNode]) -> dict[str, Weights]:
    """The weights of each layer that has any, in the order of the network: kernel and bias of a convolution."""
    by_name, readers = {node.name: node.layer for node in nodes}, only_readers(nodes)
    folded: dict[str, Weights] = {}
    for node in nodes:
        layer = node.layer
        if isinstance(layer, _layers.BatchNormalization):
            source: Any = by_name.get(node.inputs[0])
            if not (is_convolution(source) and source.activation is tf_keras.activations.linear):
                raise StageError(f"batch normalization must follow a convolution, got {node.name}")
            if readers.get(source.name) is not node:
                raise StageError(f"batch normalization alone must read its convolution, got {node.name}")
            folded[source.name] = _fold(source, folded[source.name], layer)
        elif isinstance(layer, HardSigmoid):
            name = _convolution_before(node, {each.name: each for each in nodes}, readers) or _own_convolution(node)
            folded[name] = _sloped(folded.get(name) or _identity(layer.output_shape[-1]))
        elif is_convolution(layer):
            kernel, *bias = layer.get_weights()
            folded[node.name] = [kernel, bias[0] if bias else np.zeros(layer.output_shape[-1], np.float32)]
        elif layer.weights:
            folded[node.name] = layer.get_weights()
    return folded


def _convolution_before(node: LayerNode, nodes: Mapping[str, LayerNode], readers: Mapping[str, LayerNode]) -> str:
    """The name of the convolution that `node` alone reads, batch normalization between them; else no name."""
    reader, source = node, nodes.get(node.inputs[0])
    while source and readers.get(source.name) is reader:
        if is_convolution(source.layer):
            return source.name if source.layer.activation is tf_keras.activations.linear else ""
        if not isinstance(source.layer, _layers.BatchNormalization):
            return ""
        reader, source = source, nodes.get(source.inputs[0])
    return ""


def _identity(channels: int) -> Weights:
    """Kernel and bias of a 1x1 depthwise convolution that changes nothing."""
    return [np.ones((1, 1, channels, 1), np.float32), np.zeros(channels, np.float32)]


def _sloped(weights: Weights) -> Weights:
    """Kernel and bias with which a clip to [0, 1] is the hard-sigmoid of what they were."""
    kernel, bias = (values.astype(np.float64) for values in weights)
    return [(kernel * SLOPE).astype(np.float32), ((bias + SHIFT) * SLOPE).astype(np.float32)]


def _fold(convolution: Any, weights: Weights, norm: Any) -> Weights:
    kernel, bias = weights
    gamma, beta, mean, variance = (value.astype(np.float64) for value in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    is_depthwise = isinstance(convolution, _layers.DepthwiseConv2D)
    channel_scale = scale.reshape(kernel.shape[2:]) if is_depthwise else scale
    return [
        (kernel * channel_scale).astype(np.float32),
        ((bias - mean) * scale + beta).astype(np.float32),
    ]
