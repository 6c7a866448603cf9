"""Small networks with branches, in the layers that a stored network may have, and their int8 forms, made in seconds."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras

from mbexport.artifact import Io
from mbexport.calibration.examine.twins import Twin, twins_of
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import fake_quantize, input_range
from mbexport.calibration.ranges.observe import observe
from mbexport.formats.tflite.convert import int8_tflite
from mbexport.formats.tflite.float_layers import with_float_layers
from mbexport.formats.tflite.integers import Decided
from mbexport.models.activations import HardSigmoid, HardSwish
from mbexport.models.folding import fold_batch_norm
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.widening import with_widths

PX = 32
CLASSES = 6
PREPROCESS = Preprocess(resolution=Resolution.square(PX))
layers = tf_keras.layers


def inverted_residuals() -> tf_keras.Model:
    """MobileNet v2 in small: linear bottlenecks, two of them with a shortcut."""
    x = image = layers.Input((PX, PX, 3), name="image")
    x = _convolved(x, 8, 3, name="stem", stride=2, activation=layers.ReLU(6.0, name="stem_relu"))
    x = _bottleneck(x, 12, 24, name="first", stride=2)
    x = _bottleneck(x, 12, 36, name="second")
    x = _bottleneck(x, 12, 36, name="third")
    x = _convolved(x, 32, 1, name="last", activation=layers.ReLU(6.0, name="last_relu"))
    return _headed(image, x)


def squeezed() -> tf_keras.Model:
    """MobileNet v3 in small: hard-swish, squeeze and excitation with a hard-sigmoid, a shortcut."""
    x = image = layers.Input((PX, PX, 3), name="image")
    x = _convolved(x, 16, 3, name="stem", stride=2, activation=HardSwish(name="stem_swish"))
    x = _bottleneck(x, 16, 32, name="first", stride=2, squeeze=8)
    x = _bottleneck(x, 16, 40, name="second", squeeze=8, is_swish=True, kernel=5)
    x = _convolved(x, 48, 1, name="last", activation=HardSwish(name="last_swish"))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="features")(x)
    x = HardSwish(name="hidden_swish")(layers.Conv2D(24, 1, name="hidden")(x))
    return _headed(image, x)


def every_operator() -> tf_keras.Model:
    """What MobileNets do not have: concatenation, poolings, sigmoid and leaky ReLU inside, a multiplier, a sum of 3."""
    x = image = layers.Input((PX, PX, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x))
    x = layers.MaxPooling2D(3, 2, padding="same", name="largest")(x)
    wide = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="wide")(x)
    leaky = layers.LeakyReLU(0.1, name="leaky")(wide)
    pooled = layers.AveragePooling2D(2, 1, padding="same", name="mean")(leaky)
    gate = layers.Activation("sigmoid", name="gate")(layers.Conv2D(16, 1, name="narrow")(x))
    x = layers.Multiply(name="gated")([pooled, gate])
    x = layers.Add(name="sum")([x, wide, leaky])
    x = layers.Concatenate(name="both")([x, layers.Conv2D(8, 1, name="more")(x)])
    x = HardSigmoid(name="hard")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="linear")(layers.ZeroPadding2D(((1, 0), (0, 1)), name="pad")(x))
    x = layers.ReLU(4.0, name="mixed_relu")(layers.Conv2D(12, 1, name="mixed")(x))
    x = layers.AveragePooling2D(3, 2, name="halved")(x)
    x = layers.Reshape((1, 1, 4 * 4 * 12), name="one_pixel")(x)
    return _headed(image, x)


def _convolved(x: Any, filters: int, kernel: int, *, name: str, activation: Any = None, stride: int = 1) -> Any:
    same = {"strides": stride, "padding": "same", "use_bias": False}
    x = layers.BatchNormalization(name=f"{name}_bn")(layers.Conv2D(filters, kernel, name=name, **same)(x))
    return x if activation is None else activation(x)


def _bottleneck(
    x: Any,
    out: int,
    wide: int,
    *,
    name: str,
    stride: int = 1,
    squeeze: int = 0,
    is_swish: bool = False,
    kernel: int = 3,
) -> Any:
    def active(x: Any, part: str) -> Any:
        return HardSwish(name=f"{part}_swish")(x) if is_swish else layers.ReLU(6.0, name=f"{part}_relu")(x)

    y = active(_convolved(x, wide, 1, name=f"{name}_expand"), f"{name}_expand")
    if stride == 2:
        y = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(y)
    padding = "valid" if stride == 2 else "same"
    y = layers.DepthwiseConv2D(kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}_depthwise")(y)
    y = active(layers.BatchNormalization(name=f"{name}_depthwise_bn")(y), f"{name}_depthwise")
    if squeeze:
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(y)
        gate = layers.ReLU(name=f"{name}_reduce_relu")(layers.Conv2D(squeeze, 1, name=f"{name}_reduce")(gate))
        gate = HardSigmoid(name=f"{name}_gate")(layers.Conv2D(wide, 1, name=f"{name}_excite")(gate))
        y = layers.Multiply(name=f"{name}_scale")([y, gate])
    y = _convolved(y, out, 1, name=f"{name}_project")
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and x.shape[-1] == out else y


def _headed(image: Any, x: Any) -> tf_keras.Model:
    """The network that ends with a mean, a 1x1 convolution and a softmax, with weights under which answers differ."""
    if x.shape[1] > 1:
        x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Reshape((CLASSES,), name="flat")(layers.Conv2D(CLASSES, 1, name="head")(layers.Dropout(0.1)(x)))
    network = tf_keras.Model(image, layers.Softmax(name="predictions")(x), name="branched")
    rng = np.random.default_rng(1)
    for layer in network.layers:
        if layer.weights and not isinstance(layer, layers.BatchNormalization):
            kernel, *bias = (weight.shape for weight in layer.get_weights())
            inputs = np.prod(kernel[:2]) * (1 if isinstance(layer, layers.DepthwiseConv2D) else kernel[2])
            gain = 3 if layer.name == "head" else 1
            kernel = rng.normal(0, gain * np.sqrt(2 / inputs), kernel)  # He et al. 2015, arXiv 1502.01852
            layer.set_weights([kernel, *(rng.normal(0, 0.1, shape) for shape in bias)])
    return _settled(network)


def _settled(network: tf_keras.Model) -> tf_keras.Model:
    """The network, its batch normalization with the statistics of the images: else the signal fades away."""
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            values = np.asarray(tf_keras.Model(network.input, layer.input)(PREPROCESS.normalize(pixels())))
            gamma, beta, _, _ = layer.get_weights()
            layer.set_weights([gamma, beta + 0.2, values.mean((0, 1, 2)), values.var((0, 1, 2)) + 1e-3])
    return network


def pixels(count: int = 32) -> np.ndarray:
    """Coarse blocks of noise, uint8 (count, PX, PX, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).repeat(PX // 4, axis=1).repeat(PX // 4, axis=2)
    return np.clip(coarse + rng.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8:
    """A network calibrated on `pixels()`: folded, as it was decided, its twins, and the .tflite of it."""

    folded: tf_keras.Model
    found: Corrected
    decided: dict[str, Decided]
    twins: list[Twin]
    quantized: tf_keras.Model
    tflite: bytes


def int8_of(
    network: tf_keras.Model,
    corrections: Corrections = Corrections(),  # noqa: B008  # frozen
    kept: Collection[str] = (),
) -> Int8:
    """Calibrate and convert the network, in which the convolutions `kept` stay in float."""
    ends = {"input_scale": PREPROCESS.input_scale, "input_zero_point": PREPROCESS.input_zero_point}
    entry, images = input_range(**ends), PREPROCESS.dequantize(pixels())
    folded = fold_batch_norm(network, preprocess=PREPROCESS)
    ranges = observe(folded, [images])
    found = correct(folded, ranges, lambda: [images[:16], images[16:]], entry=entry, corrections=corrections, kept=kept)
    rounded = with_widths(fold_batch_norm(network), {name: len(bias) for name, (_, bias) in found.weights.items()})
    for name, weights in found.weights.items():
        rounded.get_layer(name).set_weights(weights)
    quantized = fake_quantize(rounded, found.ranges, **ends, largest=found.largest)
    decided = {
        name: Decided(kernel=weights[0], bias=weights[1], least=found.largest[name])
        for name, weights in found.weights.items()
    }
    return Int8(
        folded=folded,
        found=found,
        decided=decided,
        twins=twins_of(
            folded,
            rounded,
            entry=entry,
            ranges=found.ranges,
            largest=found.largest,
            arrangement=found.arrangement,
            kept=kept,
        ),
        quantized=fake_quantize(rounded, found.ranges, **ends, largest=found.largest, kept=kept),
        tflite=with_float_layers(int8_tflite(quantized, Io.UINT8), decided, kept),
    )
