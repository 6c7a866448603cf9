"""A folded network with one of each kind of layer, made from a seed and converted in a second."""

import numpy as np
import tf_keras

PX = 32
CLASSES = 10


def short_network(*, filters: int = 16) -> tf_keras.Model:
    """One of each kind of layer that a folded MobileNet has; depthwise channels differ a hundredfold.

    `filters` are those of its widest layer.
    """
    layers = tf_keras.layers
    x = image = layers.Input((PX, PX, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = layers.ReLU(6.0, name="depthwise_relu")(layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x))
    x = layers.ReLU(6.0, name="pointwise_relu")(layers.Conv2D(filters, 1, name="pointwise")(x))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Dropout(0.001, name="dropout")(x)
    x = layers.Reshape((CLASSES,), name="flat")(layers.Conv2D(CLASSES, 1, name="head")(x))
    built = tf_keras.Model(image, layers.Softmax(name="predictions")(x), name="short")
    rng = np.random.default_rng(0)
    for name, gain in {"stem": 1, "depthwise": np.geomspace(0.1, 10, 8)[:, None], "pointwise": 1, "head": 1.5}.items():
        kernel, bias = built.get_layer(name).get_weights()
        deviation = np.sqrt(2 * len(bias) / kernel.size)  # He et al. 2015, arXiv 1502.01852
        built.get_layer(name).set_weights(
            [rng.normal(0, deviation, kernel.shape) * gain, rng.normal(0, 0.3, len(bias))]
        )
    return built


def blocks(count: int = 64) -> np.ndarray:
    """So many images of coarse blocks, uint8, which stay different behind an average over the image."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(PX // 4, axis=1).repeat(PX // 4, axis=2)
