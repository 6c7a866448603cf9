"""Build MobileNet v3 in tf_keras, with the layer names and weights of tf_keras.applications.MobileNetV3Small/Large.

Keras' networks begin with a layer that rescales bytes by x / 127.5 - 1; here that is the normalization outside.
"""

from collections.abc import Callable
from typing import Final

import tf_keras

from mbexport.models.activations import HardSigmoid, HardSwish
from mbexport.models.facts import INPUT_NAME
from mbexport.models.layers import BATCH_NORM_EPSILON, Tensor, classify, strided_depthwise
from mbexport.models.mobilenet_v3.spec import STEM_CHANNELS, STEM_KERNEL_PX, Block, MobileNetV3Spec

DROPOUT: Final = 0.2  # Keras' default

_layers = tf_keras.layers
Normalize = Callable[[Tensor, str], Tensor]


def build(
    spec: MobileNetV3Spec, *, batch_norm_momentum: float = 0.99, dropout: float = DROPOUT, is_resumable: bool = False
) -> tf_keras.Model:
    """Build the network: (batch, height, width, 3) float32, normalized, to (batch, classes) float32 probabilities.

    Three settings are for training only: `batch_norm_momentum` is the decay of the moving statistics, `dropout` the
    share of features that is dropped; with `is_resumable` checkpoints hold the state of dropout's generator.
    """

    def normalize(x: Tensor, name: str) -> Tensor:
        name = f"{name}/BatchNorm"
        return _layers.BatchNormalization(momentum=batch_norm_momentum, epsilon=BATCH_NORM_EPSILON, name=name)(x)

    swishes = not spec.minimalistic
    image = _layers.Input((*spec.resolution.sides_px, 3), name=INPUT_NAME)
    stem = _layers.Conv2D(STEM_CHANNELS, STEM_KERNEL_PX, strides=2, padding="same", use_bias=False, name="Conv")
    x = _activate(normalize(stem(image), "Conv"), "Conv", swishes=swishes)
    for block in spec.blocks:
        x = _block(x, block, normalize)
    x = _layers.Conv2D(spec.last_channels, 1, use_bias=False, name="Conv_1")(x)
    x = _activate(normalize(x, "Conv_1"), "Conv_1", swishes=swishes)
    x = _layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)
    x = _activate(_layers.Conv2D(spec.feature_channels, 1, name="Conv_2")(x), "Conv_2", swishes=swishes)
    x = classify(
        x,
        spec.classes,
        head="Logits",
        reshape="flatten",
        softmax="Predictions",
        dropout=dropout,
        is_resumable=is_resumable,
    )
    return tf_keras.Model(image, x, name=spec.architecture)


def _activate(x: Tensor, name: str, *, swishes: bool) -> Tensor:
    return HardSwish(name=f"{name}/hard_swish")(x) if swishes else _layers.ReLU(name=f"{name}/relu")(x)


def _block(x: Tensor, block: Block, normalize: Normalize) -> Tensor:
    """One inverted residual, with squeeze-and-excite behind its depthwise convolution where the table has it."""
    entry, prefix = x, block.prefix
    if block.has_expansion:
        x = _layers.Conv2D(block.expanded, 1, use_bias=False, name=f"{prefix}expand")(x)
        x = _activate(normalize(x, f"{prefix}expand"), f"{prefix}expand", swishes=block.swishes)
    x = strided_depthwise(
        x, kernel_px=block.kernel_px, stride=block.stride, name=f"{prefix}depthwise", padding=f"{prefix}depthwise/pad"
    )
    x = _activate(normalize(x, f"{prefix}depthwise"), f"{prefix}depthwise", swishes=block.swishes)
    if block.squeezed is not None:
        x = _squeeze_and_excite(x, block.squeezed, prefix=f"{prefix}squeeze_excite/")
    x = _layers.Conv2D(block.channels_out, 1, use_bias=False, name=f"{prefix}project")(x)
    x = normalize(x, f"{prefix}project")
    return _layers.Add(name=f"{prefix}Add")([entry, x]) if block.has_shortcut else x


def _squeeze_and_excite(x: Tensor, channels: int, *, prefix: str) -> Tensor:
    """The channels of `x`, each times a number between 0 and 1 that two 1x1 convolutions make of all their means."""
    weights = _layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}AvgPool")(x)
    weights = _layers.ReLU(name=f"{prefix}Relu")(_layers.Conv2D(channels, 1, name=f"{prefix}Conv")(weights))
    weights = _layers.Conv2D(x.shape[-1], 1, name=f"{prefix}Conv_1")(weights)
    return _layers.Multiply(name=f"{prefix}Mul")([x, HardSigmoid(name=f"{prefix}hard_sigmoid")(weights)])
