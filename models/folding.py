"""Turns a trained network into the same function without batch normalization: what is calibrated and quantized.

In inference mode BN is y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, a scale and a shift for each
channel, so the convolution before it can carry both (Jacob et al. 2018, arXiv 1712.05877, section 3.2, with the
statistics frozen).
"""

from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.preprocess import Preprocess

_layers = tf_keras.layers
Weights = list[NDArray[np.float32]]


def fold_batch_norm(model: tf_keras.Model, *, preprocess: Preprocess | None = None) -> tf_keras.Model:
    """A chain of the same layers, where every convolution has a bias and none is followed by batch normalization.

    With `preprocess` the result takes what its `dequantize` gives where `model` takes what its `normalize` gives:
    the first convolution absorbs the difference (exactly inside the image; at the padded border the pad stays
    zero, so it differs by the shift times the weights over the pad). Raises `StageError` if the network is not a
    chain, or its first layer with weights is no full convolution.
    """
    weights = _folded_weights(model)
    if preprocess:
        _take_dequantized(model, weights, preprocess)
    x = image = _layers.Input(model.input_shape[1:], name=model.input_names[0])
    for layer in model.layers[1:]:
        if not isinstance(layer, _layers.BatchNormalization):
            x = _without_batch_norm(layer)(x)
    folded = tf_keras.Model(image, x, name=model.name)
    for name, values in weights.items():
        folded.get_layer(name).set_weights(values)
    return folded


def _take_dequantized(model: tf_keras.Model, weights: dict[str, Weights], preprocess: Preprocess) -> None:
    """Rewrites the first convolution for bytes in RGB order, with one scale and the zero of the integer input."""
    first = next(iter(weights))
    if isinstance(model.get_layer(first), _layers.DepthwiseConv2D):
        raise StageError(f"the first layer with weights must be a full convolution, got {first}")
    kernel, bias = weights[first]
    shift = np.array(preprocess.input_shift, np.float32)
    gain = np.array(preprocess.input_gain, np.float32)
    shifted = bias + (kernel * shift[:, None]).sum(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
    scaled = kernel * gain[:, None]
    weights[first] = [scaled[:, :, ::-1] if preprocess.normalization.is_bgr else scaled, shifted]


def _without_batch_norm(layer: Any) -> Any:
    config = layer.get_config()
    if is_convolution(layer):
        config["use_bias"] = True
    return type(layer).from_config(config)


def is_convolution(layer: Any) -> bool:
    """Whether the layer multiplies by weights: a convolution, depthwise or not."""
    return isinstance(layer, _layers.Conv2D | _layers.DepthwiseConv2D)


def gives_probabilities(layer: Any) -> bool:
    """Whether the layer turns scores into probabilities: a softmax, or a sigmoid for each class by itself."""
    if isinstance(layer, _layers.Activation):
        return layer.activation is tf_keras.activations.sigmoid
    return isinstance(layer, _layers.Softmax)


def without_probabilities(model: tf_keras.Model) -> tf_keras.Model:
    """The same network up to what its softmax or sigmoid is given, quantized or not; itself if it has neither."""
    last = model.layers[-1]
    if not gives_probabilities(getattr(last, "layer", last)):
        return model
    return tf_keras.Model(model.input, last.input, name=model.name)


def _folded_weights(model: tf_keras.Model) -> dict[str, Weights]:
    """The weights of each layer that keeps any, in the order of the network: of a convolution kernel and bias."""
    if len(model.outputs) != 1 or any(len(layer.inbound_nodes) != 1 for layer in model.layers):
        raise StageError("the network must be a chain of layers, got one with branches")
    folded: dict[str, Weights] = {}
    for previous, layer in zip(model.layers, model.layers[1:], strict=False):
        if layer.input is not previous.output:
            raise StageError(f"the network must be a chain of layers, got a branch before {layer.name}")
        if isinstance(layer, _layers.BatchNormalization):
            if not is_convolution(previous) or previous.activation is not tf_keras.activations.linear:
                raise StageError(f"batch normalization must follow a convolution, got {layer.name}")
            folded[previous.name] = _fold(previous, folded[previous.name], layer)
        elif is_convolution(layer):
            kernel, *bias = layer.get_weights()
            folded[layer.name] = [kernel, bias[0] if bias else np.zeros(layer.output_shape[-1], np.float32)]
        elif layer.weights:
            folded[layer.name] = layer.get_weights()
    return folded


def _fold(convolution: Any, weights: Weights, norm: Any) -> Weights:
    kernel, bias = weights
    gamma, beta, mean, variance = (value.astype(np.float64) for value in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    is_depthwise = isinstance(convolution, _layers.DepthwiseConv2D)
    channel_scale = scale.reshape(-1, 1) if is_depthwise else scale  # (kh, kw, channels, 1) or (kh, kw, in, channels)
    return [
        (kernel * channel_scale).astype(np.float32),
        ((bias - mean) * scale + beta).astype(np.float32),
    ]
