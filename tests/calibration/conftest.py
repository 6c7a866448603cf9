"""Networks to calibrate, with weights under which their answers tell images apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mbexport.models.data.open import DIGITS, ImageSet, iter_pixels, open_data
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

Network = Any  # a tf_keras model: tf_keras publishes no types


@pytest.fixture(scope="session")
def preprocess() -> Preprocess:
    """The preprocessing of digits for the tiny network."""
    return Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """64 digits of all classes."""
    return open_data(DIGITS).evaluation(0).subset(np.arange(64))


@pytest.fixture(scope="session")
def inputs(digits: ImageSet, preprocess: Preprocess) -> np.ndarray:
    """The same digits as an integer artifact sees them: (64, 32, 32, 3) float32."""
    return preprocess.dequantize(np.concatenate(list(iter_pixels(digits, preprocess))))


@pytest.fixture(scope="session")
def tiny_mobilenet(inputs: np.ndarray) -> Callable[..., Network]:
    """Builds the same folded MobileNet at each call: alpha 0.1, 32 px, 10 classes.

    Its batch normalization has the statistics of the digits, without which an untrained network's signal fades away
    from layer to layer and all images get one answer.
    """
    import tf_keras

    from mbexport.models.folding import fold_batch_norm
    from mbexport.models.mobilenet_v1.network import build

    def make(*, conv: Convolution = Convolution.SEPARABLE, shallow: bool = False) -> Network:
        tf_keras.utils.set_random_seed(0)
        spec = ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=10, conv=conv, shallow=shallow)
        network = build(spec, batch_norm_momentum=0.0)
        network(inputs, training=True)
        return fold_batch_norm(network)

    return make


@pytest.fixture(scope="session")
def short_network() -> Callable[[], Network]:
    """Builds the same chain at each call: one of each kind of layer that a MobileNet has, 8 px, 4 classes."""
    import tf_keras

    layers = tf_keras.layers

    def make() -> Network:
        x = image = layers.Input((8, 8, 3), name="image")
        x = layers.Conv2D(4, 3, strides=2, padding="same", name="stem")(x)
        x = layers.ReLU(6.0, name="stem_relu")(x)
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
        x = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x)
        x = layers.ReLU(6.0, name="depthwise_relu")(x)
        x = layers.Conv2D(6, 1, name="pointwise")(x)
        x = layers.ReLU(6.0, name="pointwise_relu")(x)
        x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
        x = layers.Dropout(0.5, name="dropout")(x)
        x = layers.Conv2D(4, 1, name="head")(x)
        x = layers.Reshape((4,), name="flat")(x)
        x = layers.Softmax(name="predictions")(x)
        network = tf_keras.Model(image, x, name="short")
        rng = np.random.default_rng(0)
        for layer in network.layers:
            if layer.weights:
                kernel, bias = layer.get_weights()
                deviation = np.sqrt(2 * len(bias) / kernel.size)  # He et al. 2015, arXiv 1502.01852
                layer.set_weights([rng.normal(0, deviation, kernel.shape), rng.normal(0, 0.3, bias.shape)])
        return network

    return make


@pytest.fixture(scope="session")
def detector() -> Any:
    """What the small detector's outputs are."""
    from small_detector import DETECTOR

    return DETECTOR


@pytest.fixture(scope="session")
def small_detector() -> Callable[[], Network]:
    """Builds the same detector at each call: 16 px, two maps, two classes."""
    from small_detector import network

    return network
