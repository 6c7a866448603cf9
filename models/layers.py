"""Layers that the builders of several architectures share, so that they are the same in each of them."""

from typing import Any, Final

import tf_keras

BATCH_NORM_EPSILON: Final = 1e-3  # Keras' default, with which the published weights were trained

_layers = tf_keras.layers
Tensor = Any  # a Keras tensor: tf_keras publishes no types


def classify(
    x: Tensor, classes: int, *, head: str, reshape: str, softmax: str, dropout: float, is_resumable: bool
) -> Tensor:
    """Probabilities (batch, classes) of pooled features (batch, 1, 1, channels): dropout, a 1x1 convolution, softmax.

    With `is_resumable` checkpoints hold the state of dropout's generator.
    """
    x = _layers.Dropout(dropout, name="dropout", rng_type="stateful" if is_resumable else None)(x)
    x = _layers.Conv2D(classes, 1, name=head)(x)
    x = _layers.Reshape((classes,), name=reshape)(x)
    return _layers.Softmax(name=softmax)(x)


def strided_depthwise(x: Tensor, *, kernel_px: int, stride: int, name: str, padding: str) -> Tensor:
    """A depthwise convolution without a bias, padded as Keras pads its networks, by a layer called `padding`.

    With stride 2 an even side gets one pixel less before the map than behind it, as ImageNet weights were trained;
    `padding="same"` would do the same only for 3x3 kernels.
    """
    if stride == 2:
        before, behind = kernel_px // 2, kernel_px // 2
        sides = ((before - 1 + side % 2, behind) for side in x.shape[1:3])
        x = _layers.ZeroPadding2D(tuple(sides), name=padding)(x)
    return _layers.DepthwiseConv2D(
        kernel_px, strides=stride, padding="valid" if stride == 2 else "same", use_bias=False, name=name
    )(x)
