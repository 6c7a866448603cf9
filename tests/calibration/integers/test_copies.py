"""Copies in channels that do nothing: where they may lie, of which channels, and that float answers stay the same."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.integers.copies import Copies, Spares, find_spares, make_copies, with_padded_stem
from mbexport.calibration.integers.offsets import spread
from mbexport.calibration.steps import Step, steps_of

pytestmark = pytest.mark.run

layers = tf_keras.layers
ENTRY = Range(low=-1.0, high=1.0)
RANGES = {site: Range(low=0.0, high=6.0) for site in ("stem_relu", "depthwise_relu", "pointwise_relu", "full_relu")}
RANGES |= {"head": Range(low=-9.0, high=9.0)}
STEP = 6 / 255
DEAD, CONSTANT = -1.0, 2.0  # biases of channels without weights


def chain() -> Any:
    """Carriers and readers of each kind, 4 channels between them: two groups, the second with a padded reader."""
    x = image = layers.Input((6, 6, 2), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(4, 3, padding="same", name="stem")(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.ReLU(6.0, name="depthwise_relu")(x)
    x = layers.ReLU(6.0, name="pointwise_relu")(layers.Conv2D(4, 1, name="pointwise")(x))
    x = layers.ReLU(6.0, name="full_relu")(layers.Conv2D(4, 3, padding="same", name="full")(x))
    x = layers.Conv2D(3, 1, name="head")(x)
    network = tf_keras.Model(image, x)
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([rng.normal(0, 0.5, kernel.shape), rng.uniform(0.3, 1, bias.shape)])
    return network


@pytest.fixture(scope="module")
def lively() -> list[Step]:
    """The steps of a network all of whose channels do something."""
    return steps_of(chain())


def with_channel(steps: list[Step], name: str, channel: int, *, bias: float, weights: float = 0.0) -> list[Step]:
    """The same steps, one of whose channels has the same weight everywhere."""
    found = []
    for step in steps:
        kernel, biases = (array.copy() for array in step.weights)
        if step.convolution.name == name:
            kernel.reshape(-1, len(biases))[:, channel] = weights
            biases[channel] = bias
        found.append(replace(step, weights=(kernel, biases)))
    return found


@pytest.fixture(scope="module")
def spare(lively: list[Step]) -> list[Step]:
    """Channels 1 and 3 of the first group do nothing, behind the depthwise one 1 is 2; of the second, 0 and 2."""
    steps = with_channel(with_channel(lively, "stem", 1, bias=DEAD), "stem", 3, bias=DEAD)
    steps = with_channel(with_channel(steps, "depthwise", 1, bias=CONSTANT, weights=0.5), "depthwise", 3, bias=DEAD)
    return with_channel(with_channel(steps, "pointwise", 0, bias=DEAD), "pointwise", 2, bias=DEAD)


def costs(*errors: float) -> dict[str, np.ndarray]:
    """The same at every site, of which the first group has two and the second has one."""
    return {site: np.array(errors) for site in RANGES}


def outputs(steps: list[Step], x: np.ndarray) -> dict[str, np.ndarray]:
    """What each step makes of `x` in float, by site."""
    found = {}
    for step in steps:
        x = step.convolve(step.prepare(x), *step.weights)
        x = x if step.ceiling is None else tf.clip_by_value(x, 0.0, step.ceiling)
        found[step.site] = np.asarray(x)
    return found


def test_places_by_hand(spare: list[Step]) -> None:
    first, second = find_spares(spare, RANGES, entry=ENTRY)
    assert (first.sites, first.reader.site) == (["stem_relu", "depthwise_relu"], "pointwise_relu")
    np.testing.assert_array_equal(first.channels, [1, 3])
    np.testing.assert_array_equal(first.constants[first.channels], [2, 0])
    assert (second.sites, second.reader.site) == (["pointwise_relu"], "full_relu")
    np.testing.assert_array_equal(second.channels, [0, 2])
    np.testing.assert_array_equal(second.constants[second.channels], [0, 0])


def test_sources_by_hand(spare: list[Step]) -> None:
    # In the first group one copy of each; in the second, both of channel 1.
    found = make_copies(
        find_spares(spare, RANGES, entry=ENTRY), {**costs(5, 9, 3, 9), "pointwise_relu": np.array([9, 9, 9, 1])}
    )
    for site in ("stem_relu", "depthwise_relu"):
        np.testing.assert_array_equal(found.sources[site], [0, 0, 2, 2])
    np.testing.assert_array_equal(found.sources["pointwise_relu"], [1, 1, 1, 3])
    assert [[step.site for step in carriers] for carriers in found.carriers] == [
        ["stem_relu", "depthwise_relu"],
        ["pointwise_relu"],
    ]
    assert set(found.weights) == {"stem", "depthwise", "pointwise", "full"}


@pytest.mark.parametrize(("errors", "sources"), [((9, 0, 1, 0), [0, 0, 2, 0]), ((4, 0, 1, 0), [0, 0, 2, 2])])
def test_the_channel_that_gains_most_is_copied_by_hand(
    spare: list[Step], errors: tuple[float, ...], sources: list[int]
) -> None:
    # 9 becomes 9 / 4, then 1, which gains 1.25; 1 would become 1 / 4. Of 4 the second copy gains only 5 / 9.
    place = find_spares(spare, RANGES, entry=ENTRY)[0]
    found = make_copies([place], costs(*errors))
    np.testing.assert_array_equal(found.sources["stem_relu"], sources)


def test_what_rounding_costs_at_all_sites_of_a_group_counts(spare: list[Step]) -> None:
    place = find_spares(spare, RANGES, entry=ENTRY)[0]
    found = make_copies([place], {"stem_relu": np.array([9.0, 0, 1, 0]), "depthwise_relu": np.array([0.0, 0, 99, 0])})
    np.testing.assert_array_equal(found.sources["stem_relu"], [0, 2, 2, 2])


def test_float_arithmetic_gives_the_same_with_copies_and_at_borders_too(spare: list[Step]) -> None:
    found = make_copies(find_spares(spare, RANGES, entry=ENTRY), costs(5, 9, 3, 7))
    x = np.random.default_rng(1).uniform(-1, 1, (8, 6, 6, 2)).astype(np.float32)
    expected = outputs(spare, x)
    copied = outputs([step.with_weights(found.weights) for step in spare], x)
    np.testing.assert_allclose(copied["head"], expected["head"], rtol=1e-4, atol=1e-4)
    for site, sources in found.sources.items():
        np.testing.assert_allclose(copied[site], expected[site][..., sources], rtol=1e-5, atol=1e-5)
        assert np.ptp(copied[site], axis=(0, 1, 2)).min() > 0.1  # nothing is constant any more
    # What the constant 2 was to its reader lies in a bias now.
    moved = found.weights["pointwise"][1][found.sources["pointwise_relu"] == 1]
    pointwise = spare[2].weights
    np.testing.assert_allclose(moved, pointwise[1][1] + CONSTANT * pointwise[0][0, 0, 1, 1], rtol=1e-5)


def test_a_reader_of_one_group_is_the_first_carrier_of_the_next(spare: list[Step]) -> None:
    found = make_copies(find_spares(spare, RANGES, entry=ENTRY), costs(5, 9, 3, 7))
    kernel, bias = spare[2].weights
    rows, columns = found.sources["depthwise_relu"], found.sources["pointwise_relu"]
    copies = np.array([(rows == row).sum() for row in rows])
    expected = kernel[:, :, rows][..., columns] / copies[:, None]
    np.testing.assert_allclose(found.weights["pointwise"][0], expected, rtol=1e-6)
    assert found.weights["pointwise"][1].shape == bias.shape


@pytest.mark.parametrize(
    ("weights", "bias", "is_spare"),
    [
        (0.05, -1.0, True),  # 18 weights and an input of at most 1: -0.1 at most
        (-0.05, -1.0, True),  # the input may be -1, too
        (0.06, -1.0, False),  # 0.08 for some input, whether or not one has been seen
        (-0.06, -1.0, False),
        (0.055555 + 0.09 * STEP / 18, -1.0, True),  # moves by less than a tenth of a step
        (0.055556 + 0.11 * STEP / 18, -1.0, False),
        (0.5, 20.0, True),  # always cut at the top
    ],
)
def test_only_a_channel_that_no_input_can_move_is_spare(
    lively: list[Step], weights: float, bias: float, is_spare: bool
) -> None:
    steps = with_channel(lively, "stem", 1, weights=weights, bias=bias)
    # With weights of zero behind it, what is constant at the stem is constant.
    found = find_spares(without_depthwise(steps), RANGES, entry=ENTRY)
    assert [place.sites for place in found] == ([["stem_relu"]] if is_spare else [])


def without_depthwise(steps: list[Step]) -> list[Step]:
    """The other steps, which read what the depthwise ones read."""
    kept, read_instead = [], {}
    for step in steps:
        inputs = tuple(read_instead.get(name, name) for name in step.inputs)
        if step.is_depthwise:
            read_instead[step.site] = inputs[0]
        else:
            kept.append(replace(step, inputs=inputs))
    return kept


def test_padding_moves_a_constant_before_a_depthwise_convolution(lively: list[Step]) -> None:
    steps = with_channel(lively, "stem", 1, bias=CONSTANT)
    assert find_spares(steps, RANGES, entry=ENTRY) == []
    still = with_channel(steps, "depthwise", 1, bias=CONSTANT)
    assert [list(place.channels) for place in find_spares(still, RANGES, entry=ENTRY)] == [[1]]


@pytest.mark.parametrize(("bias", "places"), [(CONSTANT, 0), (DEAD, 1), (0.9 * STEP, 1), (1.1 * STEP, 0)])
def test_a_padded_reader_needs_a_constant_of_zero(lively: list[Step], bias: float, places: int) -> None:
    assert len(find_spares(with_channel(lively, "pointwise", 1, bias=bias), RANGES, entry=ENTRY)) == places


def test_without_spare_channels_there_are_no_copies(lively: list[Step]) -> None:
    assert find_spares(lively, RANGES, entry=ENTRY) == []
    assert make_copies([], costs(1, 1, 1, 1)) == Copies.none()


def test_a_tensor_that_holds_nothing_at_all_has_nothing_to_copy(lively: list[Step]) -> None:
    steps = lively
    for channel in range(4):
        steps = with_channel(steps, "pointwise", channel, bias=DEAD)
    assert find_spares(steps, RANGES, entry=ENTRY) == []


def test_channels_whose_noise_costs_nothing_are_not_copied(spare: list[Step]) -> None:
    places = find_spares(spare, RANGES, entry=ENTRY)
    assert make_copies(places, costs(0, 7, 0, 7)).sources.keys() == {"pointwise_relu"}


def test_without_a_relu_nothing_is_copied(spare: list[Step]) -> None:
    bare = [replace(step, ceiling=None) if step.site == "depthwise_relu" else step for step in spare]
    assert [place.sites for place in find_spares(bare, RANGES, entry=ENTRY)] == [["pointwise_relu"]]


@pytest.fixture(scope="module")
def place(spare: list[Step]) -> Callable[[int, int], Spares]:
    """Makes a place with some channels, the last of which are spare."""

    def make(channels: int, spares: int) -> Spares:
        step = spare[2]
        kernel = np.ones((1, 1, channels, channels), np.float32)
        carrier = replace(step, weights=(kernel, np.zeros(channels, np.float32)))
        return Spares(
            carriers=(carrier,),
            reader=replace(spare[-1], weights=carrier.weights),
            channels=np.arange(channels - spares, channels),
            constants=np.zeros(channels),
        )

    return make


@given(value=st.floats(0, 6), spares=st.integers(1, 4))
@example(value=0.0, spares=1)
@example(value=6.0, spares=2)
@example(value=1.5 * STEP, spares=1)
def test_n_copies_err_like_a_step_of_an_nth(place: Callable[[int, int], Spares], value: float, spares: int) -> None:
    found = make_copies([place(1 + spares, spares)], {"pointwise_relu": np.ones(1 + spares)})
    offsets = spread(found.sources["pointwise_relu"]) * STEP
    codes = np.clip(np.rint((value + offsets) / STEP), 0, 255)
    stored = codes * STEP - offsets
    assert abs(stored.mean() - value) <= STEP / (2 * (1 + spares)) + 1e-9
    assert (np.abs(stored - value) <= STEP + 1e-9).all()


@given(errors=st.lists(st.floats(0, 100), min_size=2, max_size=3), spares=st.integers(1, 4))
@example(errors=[0.0, 0.0], spares=1)
def test_no_other_choice_of_copies_leaves_less_error(
    place: Callable[[int, int], Spares], errors: list[float], spares: int
) -> None:
    channels = len(errors) + spares
    found = make_copies([place(channels, spares)], {"pointwise_relu": np.array([*errors, *[1e3] * spares])})
    if not any(errors):
        assert found == Copies.none()
        return
    sources = found.sources["pointwise_relu"]
    assert (sources < len(errors)).all()
    choices = itertools.combinations_with_replacement(range(len(errors)), spares)
    least = min(left(errors, [*range(len(errors)), *choice]) for choice in choices)
    assert left(errors, list(sources)) == pytest.approx(least)


def left(errors: list[float], sources: list[int]) -> float:
    """The error with as many codes for each channel as it has copies."""
    return sum(error / sources.count(channel) ** 2 for channel, error in enumerate(errors))


def stem_of(channels: int, *, padding: str = "same", behind: str = "depthwise") -> Any:
    """A network whose first convolution has so many channels, which go on through a depthwise one, or not."""
    x = image = layers.Input((6, 6, 2), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(channels, 3, strides=2, padding=padding, name="stem")(x))
    if behind == "depthwise":
        x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
        x = layers.ReLU(6.0, name="depthwise_relu")(x)
    if behind == "sum":
        x = layers.Add(name="sum")([x, layers.Conv2D(channels, 1, name="side")(x)])
    x = layers.ReLU(6.0, name="pointwise_relu")(layers.Conv2D(6, 1, name="pointwise")(x))
    network = tf_keras.Model(image, layers.Conv2D(3, 1, name="head")(x))
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([rng.normal(0, 0.5, kernel.shape), rng.uniform(0.3, 1, bias.shape)])
    return network


@pytest.mark.parametrize("behind", ["depthwise", "pointwise"])
def test_a_padded_stem_answers_alike_and_is_full_of_copies(behind: str) -> None:
    steps = steps_of(stem_of(12, behind=behind))
    padded = with_padded_stem(steps)
    shapes = {step.convolution.name: step.kernel_shape for step in padded}
    assert shapes["stem"] == (3, 3, 2, 16)
    assert shapes["pointwise"] == (1, 1, 16, 6)
    assert shapes["head"] == (1, 1, 6, 3)
    assert padded[0].channels == 16
    x = np.random.default_rng(1).uniform(-1, 1, (8, 6, 6, 2)).astype(np.float32)
    expected = outputs(steps, x)["head"]
    np.testing.assert_allclose(outputs(padded, x)["head"], expected, rtol=1e-5, atol=1e-5)
    # What rounding costs is known of the channels that the network has. Of 12 alike, 4 are copied.
    (place,) = find_spares(padded, RANGES, entry=ENTRY)
    np.testing.assert_array_equal(place.channels, [12, 13, 14, 15])
    found = make_copies([place], {site: np.ones(12) for site in RANGES})
    np.testing.assert_array_equal(found.sources["stem_relu"], [*range(12), 0, 1, 2, 3])
    copied = [step.with_weights(found.weights) for step in steps]
    np.testing.assert_allclose(outputs(copied, x)["head"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", [stem_of(16), stem_of(7), stem_of(12, behind="sum")])
def test_a_stem_that_fills_its_tiles_or_is_read_twice_is_not_padded(network: Any) -> None:
    steps = steps_of(network)
    for step, same in zip(steps, with_padded_stem(steps), strict=True):
        for one, other in zip(step.weights, same.weights, strict=True):
            np.testing.assert_array_equal(one, other)
