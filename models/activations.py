"""The activations of MobileNet v3, which tf_keras has no layers for: hard-sigmoid and hard-swish.

Source: Howard et al. 2019, "Searching for MobileNetV3", arXiv 1905.02244, section 5.2. They are written in the
operators in which the converter to TFLite looks for them.
"""

from typing import Any, Final

import tensorflow as tf
import tf_keras

SHIFT: Final = 3.0
SLOPE: Final = 1.0 / 6.0


class HardSigmoid(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras publishes no types
    """min(max(x + 3, 0), 6) / 6 of a float32 tensor; not Keras' own `hard_sigmoid`, max(0, min(0.2 x + 0.5, 1))."""

    def call(self, inputs: Any) -> Any:
        return hard_sigmoid(inputs)


class HardSwish(tf_keras.layers.Layer):  # type: ignore[misc]
    """x times the hard-sigmoid of x, of a float32 tensor of any shape."""

    def call(self, inputs: Any) -> Any:
        return inputs * hard_sigmoid(inputs)


def hard_sigmoid(x: Any) -> Any:
    """The hard-sigmoid of a tensor: 0 up to -3, 1 from 3 on, straight between."""
    return tf.nn.relu6(x + SHIFT) * SLOPE
