"""Folding batch normalization changes no answer, and shifts the input by exactly the given amount."""

from typing import Any

import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.activations import HardSigmoid
from mbexport.models.folding import fold_batch_norm, is_convolution
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution

layers = tf_keras.layers
TINY_VARIANCE = 1e-9
BYTES = np.random.default_rng(2).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
IMAGES = Preprocess(resolution=Resolution.square(32)).normalize(BYTES)


def randomize(model: Any, *, seed: int) -> Any:
    """Statistics such as training leaves behind: signs mixed, spread over decades, one channel all but dead."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            (channels,) = layer.gamma.shape
            gamma = rng.uniform(0.5, 2, channels) * rng.choice([1, 1, 1, -1], channels)
            variance = 10 ** rng.uniform(-2, 0.5, channels)
            variance[rng.integers(channels)] = TINY_VARIANCE
            layer.set_weights([gamma, rng.normal(0.5, 1, channels), rng.normal(0, 0.3, channels), variance])
        elif layer.weights:
            kernel, *bias = (weight.shape for weight in layer.get_weights())
            spread = np.sqrt(2 / np.prod(kernel[:-1]))
            layer.set_weights([rng.normal(0, spread, kernel), *(rng.normal(0, 1, shape) for shape in bias)])
    return model


def random_network(seed: int, **family: Any) -> Any:
    return randomize(build(ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=5, **family)), seed=seed)


@pytest.fixture(scope="module")
def network() -> Any:
    return random_network(0)


def output_of(model: Any, name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    part = tf_keras.Model(model.input, model.get_layer(name).output)
    return np.asarray(part(images))


def shifting(shift: float) -> Preprocess:
    """Bytes whose zero, 128 or 127, lies `shift` above that of the network, or below it."""
    mean, missing = (127.5, 0.5) if shift > 0 else (127.25, -0.25)
    preprocess = Preprocess(
        resolution=Resolution.square(32), normalization=Normalization(mean=(mean,), std=(missing / shift,))
    )
    assert preprocess.input_shift == pytest.approx((shift,) * 3)
    return preprocess


def one_convolution(convolution: Any, *, norm: list[float], kernel: float, bias: float | None = None) -> Any:
    """One input pixel, one channel, one convolution with one normalization behind it."""
    image = layers.Input((1, 1, 1), name="image")
    model = tf_keras.Model(image, layers.BatchNormalization(epsilon=0.01, name="bn")(convolution(image)))
    shape = convolution.get_weights()[0].shape
    convolution.set_weights([np.full(shape, kernel), *([] if bias is None else [np.array([bias])])])
    model.get_layer("bn").set_weights([np.array([value]) for value in norm])
    return model


def test_folding_by_hand() -> None:
    # gamma 3, beta 1, mean 4, variance 0.24 + epsilon 0.01: scale 3 / 0.5 = 6.
    convolution = layers.Conv2D(1, 1, use_bias=False, name="c")
    folded = fold_batch_norm(one_convolution(convolution, norm=[3, 1, 4, 0.24], kernel=2))
    kernel, bias = folded.get_layer("c").get_weights()
    assert kernel.item() == pytest.approx(12)  # 2 * 6
    assert bias.item() == pytest.approx(-23)  # (0 - 4) * 6 + 1


def test_folding_a_biased_depthwise_convolution_by_hand() -> None:
    convolution = layers.DepthwiseConv2D(1, name="c")
    folded = fold_batch_norm(one_convolution(convolution, norm=[3, 1, 4, 0.24], kernel=-1, bias=0.5))
    kernel, bias = folded.get_layer("c").get_weights()
    assert kernel.item() == pytest.approx(-6)
    assert bias.item() == pytest.approx(-20)  # (0.5 - 4) * 6 + 1


def test_the_shift_goes_into_the_first_bias_by_hand() -> None:
    convolution = layers.Conv2D(1, 1, use_bias=False, name="c")
    model = one_convolution(convolution, norm=[3, 1, 4, 0.24], kernel=2)
    # The byte 128 stands for zero, but the network has its zero at 127.5: a quarter of a std of 2 is missing.
    grey = Preprocess(resolution=Resolution.square(1), channels=1, normalization=Normalization(mean=(127.5,), std=(2,)))
    kernel, bias = fold_batch_norm(model, preprocess=grey).get_layer("c").get_weights()
    assert kernel.item() == pytest.approx(12)
    assert bias.item() == pytest.approx(-20)  # -23 + 0.25 * 12


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_folded_network_gives_the_same_outputs(seed: int) -> None:
    network = random_network(seed)
    folded = fold_batch_norm(network)
    expected = np.asarray(network(IMAGES))
    assert np.ptp(expected, axis=0).max() > 1e-3  # the answers depend on the image
    np.testing.assert_allclose(np.asarray(folded(IMAGES)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "count"),
    [
        ({"conv": Convolution.STANDARD}, 15),
        ({"shallow": True}, 18),
        ({"conv": Convolution.STANDARD, "shallow": True}, 10),
    ],
    ids=["standard", "shallow", "standard_shallow"],
)
def test_the_papers_other_networks_fold_too(family: dict[str, Any], count: int) -> None:
    network = random_network(0, **family)
    folded = fold_batch_norm(network)
    expected = np.asarray(network(IMAGES))
    assert np.ptp(expected, axis=0).max() > 1e-3
    # Sums over nine times as many products: in float32 the network itself is 2e-4 away from its float64 answer.
    np.testing.assert_allclose(np.asarray(folded(IMAGES)), expected, atol=5e-4)
    assert not [layer for layer in folded.layers if isinstance(layer, layers.BatchNormalization)]
    assert sum(is_convolution(layer) for layer in folded.layers) == count


@pytest.mark.parametrize("name", ["conv1_relu", "conv_dw_1_relu", "conv_dw_2_relu", "conv_pw_7_relu", "conv_preds"])
def test_the_folded_network_agrees_inside_too(network: Any, name: str) -> None:
    expected = output_of(network, name, IMAGES)
    assert expected.std() > 0.01
    np.testing.assert_allclose(output_of(fold_batch_norm(network), name, IMAGES), expected, atol=1e-3)


def test_no_batch_normalization_is_left_and_every_convolution_has_a_bias(network: Any) -> None:
    folded = fold_batch_norm(network)
    kept = [layer.name for layer in network.layers if not isinstance(layer, layers.BatchNormalization)]
    assert [layer.name for layer in folded.layers] == kept
    convolutions = [layer for layer in folded.layers if is_convolution(layer)]
    assert len(convolutions) == 28
    assert all(layer.use_bias and len(layer.get_weights()) == 2 for layer in convolutions)
    assert (folded.input_names, folded.input_shape) == (network.input_names, network.input_shape)
    assert folded.output_shape == network.output_shape


def test_folding_twice_changes_nothing_more(network: Any) -> None:
    once = fold_batch_norm(network)
    twice = fold_batch_norm(once)
    for one, other in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_folding_leaves_the_original_alone(network: Any) -> None:
    before = [value.copy() for value in network.get_weights()]
    fold_batch_norm(network, preprocess=shifting(0.5))
    fold_batch_norm(fold_batch_norm(network), preprocess=shifting(0.5))
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shift", [0.5 / 127.5, -0.3, 1.0])
def test_a_shifted_network_sees_a_shifted_image(network: Any, shift: float) -> None:
    shifted = output_of(fold_batch_norm(network, preprocess=shifting(shift)), "conv1", IMAGES)
    expected = output_of(network, "conv1_bn", IMAGES + np.float32(shift))
    # "same" padding of an even image at stride 2 adds one row and one column behind: they alone see the pad.
    np.testing.assert_allclose(shifted[:, :-1, :-1], expected[:, :-1, :-1], atol=1e-4)
    plain = output_of(fold_batch_norm(network), "conv1", IMAGES)
    assert np.abs(plain[:, :-1, :-1] - expected[:, :-1, :-1]).max() > 1e-2


def test_the_border_differs_by_the_shift_times_the_weights_over_the_pad(network: Any) -> None:
    folded = fold_batch_norm(network, preprocess=shifting(0.5))
    kernel, _ = folded.get_layer("conv1").get_weights()
    difference = output_of(folded, "conv1", IMAGES) - output_of(network, "conv1_bn", IMAGES + np.float32(0.5))
    over_the_pad = 0.5 * kernel[2].sum(axis=(0, 1))
    np.testing.assert_allclose(difference[:, -1, :-1], np.broadcast_to(over_the_pad, (4, 15, 3)), atol=1e-4)


def test_bytes_around_their_zero_point_give_what_normalized_pixels_give(network: Any) -> None:
    prepared = Preprocess(resolution=Resolution.square(32))
    folded = fold_batch_norm(network, preprocess=prepared)
    expected = output_of(network, "conv1_relu", prepared.normalize(BYTES))
    found = output_of(folded, "conv1_relu", prepared.dequantize(BYTES))
    np.testing.assert_allclose(found[:, :-1, :-1], expected[:, :-1, :-1], atol=1e-4)


def branched(kind: str) -> Any:
    """Convolutions and their batch normalization around a branch: a MobileNet v2 block, two heads, or one refused."""

    def normalized(x: Any, name: str, **convolution: Any) -> Any:
        x = layers.Conv2D(3, 1, use_bias=False, name=name, **convolution)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(normalized(image, "stem"))
    y = normalized(layers.DepthwiseConv2D(3, padding="same", name="spatial")(x), "project")
    outputs = {
        "residual": lambda: layers.Add(name="add")([x, y]),
        "projected shortcut": lambda: layers.ReLU(name="end")(layers.Add(name="add")([normalized(x, "short"), y])),
        "squeeze and excite": lambda: layers.Multiply(name="scale")(
            [y, layers.Conv2D(3, 1, name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(y))]
        ),
        "two heads": lambda: [layers.Softmax(name="classes")(y), normalized(x, "boxes")],
        "an output that is read": lambda: [y, layers.ReLU(name="more")(y)],
    }
    return randomize(tf_keras.Model(image, outputs[kind]()), seed=3)


@pytest.mark.parametrize(
    "kind", ["residual", "projected shortcut", "squeeze and excite", "two heads", "an output that is read"]
)
def test_a_network_with_branches_folds_to_the_same_function(kind: str) -> None:
    network = branched(kind)
    prepared = Preprocess(resolution=Resolution.square(8), crop_fraction=1.0)
    pixels = BYTES[:, :8, :8]
    folded = fold_batch_norm(network, preprocess=prepared)
    expected, found = network(prepared.normalize(pixels)), folded(prepared.dequantize(pixels))
    if not isinstance(expected, list):
        expected, found = [expected], [found]
    for one, other in zip(expected, found, strict=True):
        assert np.ptp(one, axis=0).max() > 0.01
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4 * np.abs(one).max())
    assert folded.output_names == [name.removesuffix("_bn") for name in network.output_names]
    assert not [layer for layer in folded.layers if isinstance(layer, layers.BatchNormalization)]


def test_a_layer_used_twice_is_refused() -> None:
    convolution = layers.Conv2D(3, 1, name="c")
    image = layers.Input((8, 8, 3))
    with pytest.raises(StageError, match="must be used once, got several uses of c"):
        fold_batch_norm(tf_keras.Model(image, convolution(convolution(image))))


def test_a_convolution_that_is_read_without_its_batch_normalization_is_refused() -> None:
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="c")(image)
    network = tf_keras.Model(image, layers.Add()([x, layers.BatchNormalization(name="bn")(x)]))
    with pytest.raises(StageError, match="alone must read its convolution, got bn"):
        fold_batch_norm(network)


def test_an_image_that_two_layers_read_has_no_convolution_to_take_another_input() -> None:
    image = layers.Input((8, 8, 3), name="image")
    network = tf_keras.Model(image, layers.Add()([image, layers.Conv2D(3, 1, name="c")(image)]))
    np.testing.assert_allclose(fold_batch_norm(network)(IMAGES[:, :8, :8]), network(IMAGES[:, :8, :8]), atol=1e-5)
    with pytest.raises(StageError, match="one convolution must read the image, got several readers, or none, of image"):
        fold_batch_norm(network, preprocess=Preprocess(resolution=Resolution.square(8)))


def test_batch_normalization_with_no_convolution_before_it_is_refused() -> None:
    image = layers.Input((8, 8, 3), name="image")
    x = layers.ReLU(name="relu")(layers.Conv2D(3, 1, name="c")(image))
    model = tf_keras.Model(image, layers.BatchNormalization(name="bn")(x))
    with pytest.raises(StageError, match="must follow a convolution, got bn"):
        fold_batch_norm(model)


@pytest.mark.parametrize("kind", ["dense", "activation inside"])
def test_what_folding_cannot_carry_over_is_refused_rather_than_changed(kind: str) -> None:
    image = layers.Input((4, 4, 3), name="image")
    if kind == "dense":
        x = layers.Dense(4, name="dense")(layers.Flatten()(layers.Conv2D(2, 1, name="c")(image)))
    else:
        x = layers.BatchNormalization(name="bn")(layers.Conv2D(2, 1, activation="sigmoid", name="c")(image))
    model = randomize(tf_keras.Model(image, x), seed=0)
    images = IMAGES[:, :4, :4]
    try:
        folded = fold_batch_norm(model)
    except StageError:
        return
    np.testing.assert_allclose(np.asarray(folded(images)), np.asarray(model(images)), atol=1e-4)


def gated(*, is_read_twice: bool = False) -> Any:
    """A hard-sigmoid behind a convolution with batch normalization, a sum of three, and a mean over the whole map."""
    x = image = layers.Input((6, 6, 3), name="image")
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, use_bias=False, name="stem")(x))
    gate = HardSigmoid(name="gate")(x)
    more = layers.DepthwiseConv2D(1, depth_multiplier=2, use_bias=False, name="more")(gate)
    more = layers.Conv2D(4, 1, name="back")(layers.BatchNormalization(name="more_bn")(more))
    x = layers.Add(name="sum")([gate, more, x if is_read_twice else gate])
    x = layers.AveragePooling2D(4, name="mean")(x)
    return randomize(tf_keras.Model(image, layers.Conv2D(2, 1, name="head")(x)), seed=3)


@pytest.mark.parametrize("is_read_twice", [False, True])
def test_layers_without_integer_kernels_are_written_as_others_that_compute_the_same(*, is_read_twice: bool) -> None:
    network = gated(is_read_twice=is_read_twice)
    folded = fold_batch_norm(network)
    kinds = {layer.name: type(layer).__name__ for layer in folded.layers}
    assert (kinds["gate"], kinds["sum_2"], kinds["sum"], kinds["mean"]) == (
        *("ReLU", "Add", "Add", "GlobalAveragePooling2D"),
    )
    assert ("gate_slope" in kinds) is is_read_twice  # else the convolution takes the slope in
    assert folded.get_layer("gate").max_value == 1
    images = np.random.default_rng(0).normal(0, 1, (4, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(folded(images), network(images), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(fold_batch_norm(folded)(images), folded(images))


def test_the_slope_of_a_hard_sigmoid_by_hand() -> None:
    image = layers.Input((1, 1, 1))
    network = tf_keras.Model(image, HardSigmoid(name="gate")(layers.Conv2D(1, 1, name="conv")(image)))
    network.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 12.0), np.full(1, -6.0)])
    kernel, bias = fold_batch_norm(network).get_layer("conv").get_weights()
    assert (kernel.item(), bias.item()) == (2.0, -0.5)  # 12 / 6, and (3 - 6) / 6
