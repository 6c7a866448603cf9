"""Fake quantization rounds as the integer map does, keeps its ranges, and gives the float weights back."""

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import MIN_LARGEST_WEIGHT, Range, activation_affine, weight_affine
from mbexport.calibration.qat.fake_quant import (
    FrozenRange,
    PerChannelWeights,
    fake_quantize,
    float_weights,
    input_range,
    round_biases,
)
from mbexport.calibration.ranges.observe import observe
from mbexport.errors import StageError
from mbexport.models.folding import is_convolution
from mbexport.models.mobilenet_v1.spec import Convolution
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution

pytestmark = pytest.mark.run

INPUT = {"input_scale": 1 / 127.5, "input_zero_point": 128}  # Preprocess' own, for a mean and std of 127.5
CONVOLUTION, DEPTHWISE = 3, 2  # the axis of the output channels
HUNDREDFOLD = np.float32([1, 100, 1e4, 1e-2])


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """64 images of bytes as an integer artifact takes them."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    return Preprocess(resolution=Resolution.square(8)).dequantize(pixels)


@pytest.fixture(scope="module")
def folded(short_network):
    return short_network()


@pytest.fixture(scope="module")
def ranges(folded, images):
    return observe(folded, [images])


@pytest.fixture(scope="module")
def quantized(folded, ranges):
    return fake_quantize(folded, ranges, **INPUT)


def test_biases_become_whole_steps_by_hand(short_network, ranges):
    network = short_network()
    largest = {layer.name: np.full(layer.output_shape[-1], 1.27) for layer in filter(is_convolution, network.layers)}
    kernel, _ = network.get_layer("stem").get_weights()
    # Steps of 0.01 / 127.5: 0.1 are 1275, 0.00005 are 0.6375.
    network.get_layer("stem").set_weights([kernel, np.float32([0.1, 5e-5, 0, -0.1])])
    round_biases(network, ranges, input_range(**INPUT), largest)
    same, bias = network.get_layer("stem").get_weights()
    np.testing.assert_array_equal(same, kernel)
    np.testing.assert_allclose(bias * 127.5 / 0.01, [1275, 1, 0, -1275], rtol=1e-5)
    once = [weights.copy() for weights in network.get_weights()]
    round_biases(network, ranges, input_range(**INPUT), largest)
    for first, second in zip(once, network.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def output_of(network, layer: str, images: np.ndarray) -> np.ndarray:
    return tf_keras.Model(network.input, network.get_layer(layer).output).predict_on_batch(images)


def inner_layers(network) -> list:
    """Every layer, the wrapped ones without their wrapper."""
    return [getattr(layer, "layer", layer) for layer in network.layers]


def test_channels_of_a_depthwise_kernel_are_rounded_each_in_its_own_steps():
    kernel = np.array([127, 1.27, -50.4, 0.504, 0.6, 0], np.float32).reshape(3, 1, 2, 1)
    rounded = PerChannelWeights(DEPTHWISE, [0.0] * 2)(kernel, training=False, weights={}).numpy()
    assert rounded.reshape(3, 2) == pytest.approx(np.array([[127, 1.27], [-50, 0.50], [1, 0]]), abs=1e-5)


@pytest.mark.parametrize(
    ("axis", "shape"), [(CONVOLUTION, (3, 3, 5, 4)), (CONVOLUTION, (1, 1, 16, 4)), (DEPTHWISE, (3, 3, 4, 1))]
)
def test_weights_are_rounded_as_the_integer_map_rounds_them(axis, shape):
    factors = HUNDREDFOLD.reshape([4 if i == axis else 1 for i in range(4)])
    kernel = np.random.default_rng(3).normal(size=shape).astype(np.float32) * factors
    affine = weight_affine(kernel, axis=axis)
    expected = affine.dequantize(affine.quantize(kernel, low=-127))
    rounded = PerChannelWeights(axis, [MIN_LARGEST_WEIGHT] * 4)(kernel, training=False, weights={}).numpy()
    np.testing.assert_allclose(rounded / factors, expected / factors, atol=1e-6)
    assert not np.array_equal(rounded, kernel)


@pytest.mark.parametrize(("axis", "shape"), [(CONVOLUTION, (3, 3, 5, 2)), (DEPTHWISE, (3, 3, 2, 1))])
def test_a_channel_of_zeros_stays_zero(axis, shape):
    kernel = np.zeros(shape, np.float32)
    assert not PerChannelWeights(axis, [MIN_LARGEST_WEIGHT] * 2)(kernel, training=False, weights={}).numpy().any()


@given(st.integers(0, 255), st.floats(1e-3, 10), st.lists(st.tuples(st.integers(-50, 300), st.floats(-0.45, 0.45))))
def test_activations_are_rounded_as_the_integer_map_rounds_them(zero, step, positions):
    low, high = -zero * step, (255 - zero) * step
    # In steps from the lowest code, inside the range and beyond it, but never halfway between two codes.
    real = np.array([low + (code + fraction) * step for code, fraction in positions], np.float32)
    affine = activation_affine(Range(low=low, high=high))
    rounded = FrozenRange(low, high)(real, training=False, weights={"min": low, "max": high}).numpy()
    np.testing.assert_allclose(rounded, affine.dequantize(affine.quantize(real)), atol=step * 1e-3)


@pytest.mark.parametrize(("mean", "std"), [(127.5, 127.5), (128, 128), (0, 255), (255, 255), (123.68, 58.4)])
def test_all_256_bytes_pass_the_input_unchanged(short_network, ranges, mean, std):
    preprocess = Preprocess(resolution=Resolution.square(8), normalization=Normalization(mean=(mean,), std=(std,)))
    network = fake_quantize(
        short_network(), ranges, input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point
    )
    pixels = np.resize(np.arange(256, dtype=np.uint8), (2, 8, 8, 3))
    real = preprocess.dequantize(pixels)
    seen = output_of(network, "quant_input", real)
    np.testing.assert_allclose(seen, real, rtol=3e-7, atol=1e-9)
    assert np.array_equal(np.rint(seen * std) + preprocess.input_zero_point, pixels)


def test_a_depthwise_layer_computes_with_a_scale_for_each_channel():
    x = image = tf_keras.layers.Input((3, 3, 4))
    x = tf_keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    network = tf_keras.Model(image, tf_keras.layers.ReLU(6.0, name="relu")(x))
    kernel = np.random.default_rng(4).normal(size=(3, 3, 4, 1)).astype(np.float32) * HUNDREDFOLD.reshape(1, 1, 4, 1)
    network.get_layer("depthwise").set_weights([kernel, np.zeros(4)])
    quantized = fake_quantize(network, {"relu": Range(low=0, high=6)}, input_scale=1.0, input_zero_point=128)
    impulse = np.zeros((1, 3, 3, 4), np.float32)
    impulse[0, 1, 1] = 1
    affine = weight_affine(kernel, axis=DEPTHWISE)
    expected = affine.dequantize(affine.quantize(kernel, low=-127))[::-1, ::-1, :, 0]  # an impulse shows it turned
    np.testing.assert_allclose(
        output_of(quantized, "quant_depthwise", impulse)[0] / HUNDREDFOLD, expected / HUNDREDFOLD, atol=1e-6
    )


def test_every_stored_tensor_takes_only_the_codes_of_its_range(quantized, ranges, images):
    for site, interval in ranges.items():
        values = output_of(quantized, f"quant_{site}", images)
        affine = activation_affine(interval)
        np.testing.assert_allclose(affine.dequantize(affine.quantize(values)), values, atol=affine.scale[0] * 1e-3)
        assert len(np.unique(values)) > 20


def test_scores_are_multiples_of_a_256th(quantized, images):
    scores = quantized.predict_on_batch(images) * 256
    np.testing.assert_allclose(scores, np.rint(scores), atol=1e-3)
    assert len(np.unique(np.rint(scores))) > 20


def test_the_quantized_network_answers_nearly_as_the_float_one(folded, quantized, images):
    difference = np.abs(folded.predict_on_batch(images) - quantized.predict_on_batch(images)).max()
    assert 0 < difference < 0.02


def test_ranges_stay_while_the_weights_learn(short_network, ranges, images):
    network = fake_quantize(short_network(), ranges, **INPUT)
    start = {weight.name: weight.numpy() for weight in network.weights}
    bounds = {name for name in start if name.endswith(("_min:0", "_max:0"))}
    network.compile(tf_keras.optimizers.SGD(0.1), "categorical_crossentropy")
    for _ in range(3):
        network.train_on_batch(images, np.eye(4)[np.arange(64) % 4])
    moved = {weight.name for weight in network.weights if not np.array_equal(start[weight.name], weight.numpy())}
    # Two bounds for each range, for the input and for the scores.
    assert len(bounds) == 2 * (len(ranges) + 2)
    assert not moved & bounds
    assert moved >= {weight.name for weight in network.trainable_weights}


def test_bounds_are_no_trainable_weights(quantized):
    names = [weight.name for weight in quantized.trainable_weights]
    assert len(names) == 8  # a kernel and a bias of each of four convolutions
    assert not [name for name in names if "min" in name or "max" in name]


def test_a_range_for_an_unknown_layer_is_refused(folded, ranges):
    with pytest.raises(StageError, match="stranger"):
        fake_quantize(folded, {**ranges, "stranger": Range(low=0, high=1)}, **INPUT)


@pytest.mark.parametrize("site", ["pointwise_relu", "pool", "head"])
def test_ranges_that_miss_a_tensor_are_refused(folded, ranges, site):
    # Else that tensor stays float, and a convolution beside it with it.
    with pytest.raises(StageError, match=site):
        fake_quantize(folded, {name: interval for name, interval in ranges.items() if name != site}, **INPUT)


def test_float_weights_are_those_of_the_folded_network(folded, quantized):
    found = float_weights(quantized)
    assert list(found) == ["stem", "depthwise", "pointwise", "head"]
    for name, (kernel, bias) in found.items():
        expected = folded.get_layer(name).get_weights()
        assert np.array_equal(kernel, expected[0])
        assert np.array_equal(bias, expected[1])


@pytest.mark.parametrize("conv", Convolution)
@pytest.mark.parametrize("shallow", [False, True])
def test_the_network_is_the_same_chain_without_batch_normalization(tiny_mobilenet, inputs, conv, shallow):
    folded = tiny_mobilenet(conv=conv, shallow=shallow)
    network = fake_quantize(folded, observe(folded, [inputs]), **INPUT)
    layers = inner_layers(network)
    assert not [layer for layer in layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    assert [layer.name for layer in layers[2:]] == [layer.name for layer in folded.layers[1:]]
    assert network.input_shape == folded.input_shape
    assert network.input_names == folded.input_names
    convolutions = [layer for layer in folded.layers if is_convolution(layer)]
    assert list(float_weights(network)) == [layer.name for layer in convolutions]
    # What is stored in 8 bits: the input, each ReLU, the pooled features, the logits, the scores.
    bounds = [weight for weight in network.weights if weight.name.endswith("_min:0")]
    assert len(bounds) == 1 + (len(convolutions) - 1) + 3
