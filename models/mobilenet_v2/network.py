"""Build MobileNet v2 in tf_keras, with the layer names and weights of tf_keras.applications.MobileNetV2."""

from collections.abc import Callable
from typing import Final

import tf_keras

from mbexport.models.facts import INPUT_NAME
from mbexport.models.layers import BATCH_NORM_EPSILON, Tensor, classify, strided_depthwise
from mbexport.models.mobilenet_v2.spec import KERNEL_PX, Block, MobileNetV2Spec

RELU_MAX: Final = 6.0  # arXiv 1801.04381, section 3: "because of its robustness when used with low-precision"
DROPOUT: Final = 0.0  # Keras' network has none

_layers = tf_keras.layers
Normalize = Callable[[Tensor, str], Tensor]


def build(
    spec: MobileNetV2Spec, *, batch_norm_momentum: float = 0.99, dropout: float = DROPOUT, is_resumable: bool = False
) -> tf_keras.Model:
    """Build the network: (batch, height, width, 3) float32, normalized, to (batch, classes) float32 probabilities.

    Three settings are for training only: `batch_norm_momentum` is the decay of the moving statistics, `dropout` the
    share of pooled features that is dropped; with `is_resumable` checkpoints hold the state of dropout's generator.
    """

    def normalize(x: Tensor, name: str) -> Tensor:
        return _layers.BatchNormalization(momentum=batch_norm_momentum, epsilon=BATCH_NORM_EPSILON, name=name)(x)

    image = _layers.Input((*spec.resolution.sides_px, 3), name=INPUT_NAME)
    x = _layers.Conv2D(spec.stem_channels, KERNEL_PX, strides=2, padding="same", use_bias=False, name="Conv1")(image)
    x = _layers.ReLU(RELU_MAX, name="Conv1_relu")(normalize(x, "bn_Conv1"))
    for block in spec.blocks:
        x = _inverted_residual(x, block, normalize)
    x = _layers.Conv2D(spec.last_channels, 1, use_bias=False, name="Conv_1")(x)
    x = _layers.ReLU(RELU_MAX, name="out_relu")(normalize(x, "Conv_1_bn"))
    x = _layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)
    x = classify(
        x,
        spec.classes,
        head="predictions",
        reshape="predictions_reshape",
        softmax="predictions_softmax",
        dropout=dropout,
        is_resumable=is_resumable,
    )
    return tf_keras.Model(image, x, name=spec.architecture)


def _inverted_residual(x: Tensor, block: Block, normalize: Normalize) -> Tensor:
    """One block: 1x1 to more channels, depthwise, 1x1 to few channels without an activation; the shortcut around it."""
    entry, prefix = x, block.prefix
    if block.has_expansion:
        x = _layers.Conv2D(block.expanded, 1, use_bias=False, name=f"{prefix}expand")(x)
        x = _layers.ReLU(RELU_MAX, name=f"{prefix}expand_relu")(normalize(x, f"{prefix}expand_BN"))
    x = strided_depthwise(
        x, kernel_px=KERNEL_PX, stride=block.stride, name=f"{prefix}depthwise", padding=f"{prefix}pad"
    )
    x = _layers.ReLU(RELU_MAX, name=f"{prefix}depthwise_relu")(normalize(x, f"{prefix}depthwise_BN"))
    x = _layers.Conv2D(block.channels_out, 1, use_bias=False, name=f"{prefix}project")(x)
    x = normalize(x, f"{prefix}project_BN")
    return _layers.Add(name=f"{prefix}add")([entry, x]) if block.has_shortcut else x
