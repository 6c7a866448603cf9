"""Build MobileNet v1 in tf_keras, with the layer names and weights of tf_keras.applications.MobileNet."""

from dataclasses import dataclass
from typing import Any, Final

import tf_keras

from mbexport.models.facts import INPUT_NAME
from mbexport.models.layers import BATCH_NORM_EPSILON, Tensor, classify
from mbexport.models.mobilenet_v1.spec import KERNEL_PX, STEM_FILTERS, Block, Body, Convolution, ModelSpec

RELU_MAX: Final = 6.0  # ReLU6: arXiv 1704.04861 trains with it, and its fixed ceiling suits 8 bits
DROPOUT: Final = 0.001  # the reference's rate (research/slim mobilenet_v1.py: dropout_keep_prob=0.999)

_layers = tf_keras.layers


def build(
    spec: ModelSpec, *, batch_norm_momentum: float = 0.99, dropout: float = DROPOUT, is_resumable: bool = False
) -> tf_keras.Model:
    """Build the network: (batch, height, width, 3) float32, normalized, to (batch, classes) float32 probabilities.

    Three settings are for training only: `batch_norm_momentum` is the decay of the moving statistics, `dropout` the
    share of pooled features that is dropped; with `is_resumable` checkpoints hold the state of dropout's generator.
    """

    image = _layers.Input((*spec.resolution.sides_px, 3), name=INPUT_NAME)
    *_, x = body_maps(image, spec, Normalizer(momentum=batch_norm_momentum))
    x = _layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)
    x = classify(
        x,
        spec.classes,
        head="conv_preds",
        reshape="reshape_2",
        softmax="predictions",
        dropout=dropout,
        is_resumable=is_resumable,
    )
    return tf_keras.Model(image, x, name=spec.architecture)


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalizer:
    """Batch normalization and ReLU6 behind a convolution; `momentum` is the decay of the moving statistics."""

    momentum: float

    def __call__(self, x: Tensor, name: str) -> Tensor:
        """The tensor behind both, of the convolution called `name`."""
        x = _layers.BatchNormalization(momentum=self.momentum, epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
        return _layers.ReLU(RELU_MAX, name=f"{name}_relu")(x)


def body_maps(image: Tensor, body: Body, normalize: Normalizer, *, has_pads: bool = True) -> list[Tensor]:
    """The maps behind the stem and behind each block of `body`, in order.

    With `has_pads` a layer of its own pads what a convolution with stride 2 reads, as Keras has it; without it the
    convolution's own padding is SAME, so that the map of an odd side has half of it, rounded up. For even sides both
    compute the same.
    """
    stem = _layers.Conv2D(
        body.channels(STEM_FILTERS), KERNEL_PX, strides=2, padding="same", use_bias=False, name="conv1"
    )
    maps = [normalize(stem(image), "conv1")]
    for number, block in enumerate(body.blocks, start=1):
        x, is_padded = maps[-1], has_pads and block.stride == 2
        if is_padded:
            # The published weights were trained with this padding: one row below and one column to the right.
            x = _layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
        for convolution in _convolutions(body, block, number=number, padding="valid" if is_padded else "same"):
            x = normalize(convolution(x), convolution.name)
        maps.append(x)
    return maps


def _convolutions(body: Body, block: Block, *, number: int, padding: str) -> tuple[Any, ...]:
    """The layers of one block: a depthwise and a 1x1 convolution, or one standard convolution."""
    filters = body.channels(block.filters)
    spatial = {"strides": block.stride, "padding": padding, "use_bias": False}
    if body.conv is Convolution.STANDARD:
        return (_layers.Conv2D(filters, KERNEL_PX, name=f"conv_std_{number}", **spatial),)
    return (
        _layers.DepthwiseConv2D(KERNEL_PX, name=f"conv_dw_{number}", **spatial),
        _layers.Conv2D(filters, 1, use_bias=False, name=f"conv_pw_{number}"),
    )
