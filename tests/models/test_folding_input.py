"""A folded network takes dequantized bytes of an integer artifact, whichever normalization it was trained with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mbexport.errors import StageError
from mbexport.models.folding import fold_batch_norm
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW, UNIT, Normalization, Preprocess
from mbexport.models.resolution import Resolution

layers = tf_keras.layers
OWN_CHANNELS = Normalization(mean=(103.5, 116.25, 140), std=(57.1, 120, 30))  # zero point 120
BYTES = {n: np.random.default_rng(n).integers(0, 256, (4, 9, 9, n), dtype=np.uint8) for n in (1, 3)}


def prepared(normalization: Normalization, *, channels: int = 3) -> Preprocess:
    return Preprocess(resolution=Resolution.square(9), channels=channels, normalization=normalization)


def chain(*, channels: int = 3, padding: str = "valid", use_bias: bool = False) -> Any:
    """A convolution with batch normalization, a depthwise one and a second full one."""
    x = image = layers.Input((9, 9, channels), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding=padding, use_bias=use_bias, name="stem")(x)
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.BatchNormalization(name="dw_bn")(layers.DepthwiseConv2D(2, use_bias=False, name="dw")(x))
    return tf_keras.Model(image, layers.Conv2D(3, 1, name="head")(x))


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(
    "preprocess",
    [
        prepared(MOBILENET),
        prepared(UNIT),
        prepared(OWN_CHANNELS),
        prepared(Normalization(mean=(127.5,), std=(127.5,), is_bgr=True)),
        prepared(Normalization(mean=OWN_CHANNELS.mean, std=OWN_CHANNELS.std, is_bgr=True)),
        prepared(Normalization(mean=(110,), std=(50, 60, 90), is_bgr=True)),
        prepared(MOBILENET, channels=1),
        prepared(Normalization(mean=(33.3,), std=(70,)), channels=1),
    ],
    ids=["mobilenet", "unit", "channels", "bgr", "bgr channels", "std channels", "grey", "grey 33"],
)
def test_dequantized_bytes_give_what_normalized_ones_gave(
    randomize: Callable[..., Any], preprocess: Preprocess, use_bias: bool
) -> None:
    network = randomize(chain(channels=preprocess.channels, use_bias=use_bias))
    pixels = BYTES[preprocess.channels]
    expected = np.asarray(network(preprocess.normalize(pixels)))
    assert np.ptp(expected, axis=0).min() > 0.01
    found = np.asarray(fold_batch_norm(network, preprocess=preprocess)(preprocess.dequantize(pixels)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("normalization", [CAFFE, RAW], ids=["caffe", "raw"])
def test_networks_of_whole_bytes_fold_too(randomize: Callable[..., Any], normalization: Normalization) -> None:
    # Inputs of up to 255: the same share of float32's digits is 255 times as much.
    preprocess = prepared(normalization)
    network = randomize(chain())
    expected = np.asarray(network(preprocess.normalize(BYTES[3])))
    found = np.asarray(fold_batch_norm(network, preprocess=preprocess)(preprocess.dequantize(BYTES[3])))
    np.testing.assert_allclose(found, expected, atol=1e-4 * 255)


def test_the_first_convolution_by_hand() -> None:
    # Blue first, means 10, 20, 33 (zero point 21) and stds 2, 4, 8: gains 1, 1/2, 1/4, shifts 5.5, 0.25, -1.5.
    image = layers.Input((1, 1, 3))
    network = tf_keras.Model(image, layers.Conv2D(1, 1, name="c")(image))
    network.get_layer("c").set_weights([np.array([100, 10, 4]).reshape(1, 1, 3, 1), np.array([7])])
    own = Normalization(mean=(10, 20, 33), std=(2, 4, 8), is_bgr=True)
    kernel, bias = fold_batch_norm(network, preprocess=prepared(own)).get_layer("c").get_weights()
    assert kernel.ravel().tolist() == [1, 5, 100]  # now red first
    assert bias.tolist() == [7 + 550 + 2.5 - 6]


@settings(max_examples=25)
@given(
    mean=st.tuples(*[st.floats(0, 255)] * 3),
    std=st.tuples(*[st.floats(20, 200)] * 3),
    is_bgr=st.booleans(),
)
@example(mean=(127.5,) * 3, std=(127.5,) * 3, is_bgr=False)
def test_the_border_differs_by_the_shift_times_the_weights_over_the_pad(
    randomize: Callable[..., Any], mean: tuple[float, ...], std: tuple[float, ...], is_bgr: bool
) -> None:
    image = layers.Input((9, 9, 3))
    network = randomize(tf_keras.Model(image, layers.Conv2D(4, 3, padding="same", name="c")(image)))
    preprocess = prepared(Normalization(mean=mean, std=std, is_bgr=is_bgr))
    folded = fold_batch_norm(network, preprocess=preprocess)
    found = np.asarray(folded(preprocess.dequantize(BYTES[3]))) - np.asarray(network(preprocess.normalize(BYTES[3])))
    kernel, _ = network.get_layer("c").get_weights()
    shift = np.array(preprocess.input_shift)[:, None]
    # In the middle of the upper edge the first row of the kernel lies over the pad, at the lower one the last.
    for edge, row in ((0, 0), (-1, 2)):
        over_the_pad = (kernel[row] * shift).sum(axis=(0, 1))
        np.testing.assert_allclose(found[:, edge, 1:-1], np.broadcast_to(over_the_pad, (4, 7, 4)), atol=2e-4)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], 0, atol=2e-4)


def test_a_depthwise_first_layer_is_refused(randomize: Callable[..., Any]) -> None:
    image = layers.Input((9, 9, 3))
    x = layers.ReLU(name="relu")(layers.DepthwiseConv2D(3, name="spatial")(image))
    network = randomize(tf_keras.Model(image, layers.Conv2D(2, 1, name="c")(x)))
    with pytest.raises(StageError, match="must be a full convolution, got spatial"):
        fold_batch_norm(network, preprocess=prepared(MOBILENET))
    expected = np.asarray(network(BYTES[3] / np.float32(255)))
    found = np.asarray(fold_batch_norm(network)(BYTES[3] / np.float32(255)))
    np.testing.assert_allclose(found, expected, atol=1e-5)  # without a change of input it is no obstacle
