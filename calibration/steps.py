"""Turns a folded network into the steps that calibration takes one after the other, each ending in a stored tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.models.folding import is_convolution

_layers = tf_keras.layers
_NO_CEILING: Final = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What lies between two stored tensors: layers without weights, at most one convolution, at most one ReLU.

    `site` is the layer behind which an integer artifact stores the result. `ceiling` is what the ReLU cuts at
    (infinite for a plain one), None without a ReLU. `weights` are the convolution's kernel and bias.
    """

    site: str
    before: tuple[Any, ...]
    convolution: Any  # None for a step without
    weights: tuple[NDArray[np.float32], ...]
    ceiling: float | None

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is convolved by itself."""
        return isinstance(self.convolution, _layers.DepthwiseConv2D)

    @property
    def padding(self) -> str:
        """The convolution's own padding, as TensorFlow's operators name it."""
        return str(self.convolution.padding.upper())

    @property
    def is_padded(self) -> bool:
        """Whether zeros are put around what the convolution takes."""
        has_zeros = any(isinstance(layer, _layers.ZeroPadding2D) for layer in self.before)
        return has_zeros or (self.kernel_shape[:2] != (1, 1) and self.padding != "VALID")

    @property
    def channels(self) -> int:
        """How many the convolution makes, 0 for a step without."""
        return 0 if self.convolution is None else int(self.convolution.output_shape[-1])

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(kh, kw, in, out) of the convolution, or (kh, kw, channels, 1)."""
        return tuple(self.weights[0].shape)

    def with_weights(self, found: Mapping[str, list[NDArray[np.float32]]]) -> "Step":
        """The same step with those of `found`, which has kernels and biases by the name of the convolution."""
        if self.convolution is None or self.convolution.name not in found:
            return self
        return replace(self, weights=tuple(found[self.convolution.name]))

    def prepare(self, x: Any) -> Any:
        """What the convolution takes: float32 (n, height, width, channels)."""
        for layer in self.before:
            x = layer(x, training=False)
        return x

    def convolve(self, x: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        """The convolution of `x`, as `prepare` gives it, with another kernel and bias of the same shapes."""
        strides = self.convolution.strides
        if self.is_depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], self.padding) + bias
        return tf.nn.conv2d(x, kernel, strides, self.padding) + bias


def steps_of(folded: tf_keras.Model) -> list[Step]:
    """The steps of a folded network up to its logits, in order; what turns these into probabilities is no step."""
    steps: list[Step] = []
    before: list[Any] = []
    layers = folded.layers[1:]
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if is_convolution(layer):
            relu = following if isinstance(following, _layers.ReLU) else None
            ceiling = None if relu is None else _NO_CEILING if relu.max_value is None else float(relu.max_value)
            site = layer.name if relu is None else relu.name
            steps.append(
                Step(
                    site=site,
                    before=tuple(before),
                    convolution=layer,
                    weights=tuple(layer.get_weights()),
                    ceiling=ceiling,
                )
            )
            before = []
        elif isinstance(layer, _layers.GlobalAveragePooling2D):
            steps.append(Step(site=layer.name, before=(*before, layer), convolution=None, weights=(), ceiling=None))
            before = []
        elif not isinstance(layer, _layers.ReLU):
            before.append(layer)
    return steps
