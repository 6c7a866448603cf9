"""Scalings move into the convolutions beside them without changing what is computed, or are refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.absorption import as_convolution, scale_input, scale_output
from mbexport.models.keras_import.canonical import canonical_of
from mbexport.models.keras_import.canonical_layers import network_of
from mbexport.models.keras_import.entries import Canonical
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import (
    Array,
    Average,
    Clip,
    Concatenate,
    Convolve,
    Dense,
    Maximum,
    Normalize,
    Pad,
    Product,
    Scale,
    Shape,
    Step,
    Sum,
    Window,
    clean_name,
)

pytestmark = pytest.mark.run


def convolved(x: Array, step: Convolve) -> Array:
    """The convolution of a (height, width, channels) map without padding, written out."""
    kh, kw = step.kernel.shape[:2]
    height, width = (1 + (side - kernel) // stride for side, kernel, stride in zip(
        x.shape[:2], (kh, kw), step.strides, strict=True
    ))  # fmt: skip
    out = np.zeros((height, width, step.channels))
    for row, column in np.ndindex(height, width):
        top, left = row * step.strides[0], column * step.strides[1]
        window = x[top : top + kh, left : left + kw]
        if step.is_depthwise:
            out[row, column] = (window[..., None] * step.kernel).sum(axis=(0, 1)).reshape(-1)
        else:
            out[row, column] = np.tensordot(window, step.kernel, axes=3)
    return out + (0 if step.bias is None else step.bias)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Convolve, np.random.Generator]:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    is_depthwise, has_bias = draw(st.booleans()), draw(st.booleans())
    gives = draw(st.integers(1, 3)) if is_depthwise else 4
    kernel = rng.normal(size=(draw(st.integers(1, 3)), draw(st.integers(1, 3)), 3, gives))
    bias = rng.normal(size=3 * gives if is_depthwise else 4) if has_bias else None
    stride = draw(st.integers(1, 2))
    return Convolve(name="c", kernel=kernel, bias=bias, strides=(stride, stride), is_depthwise=is_depthwise), rng


@given(convolutions(), st.sampled_from([1, 3]))
def test_a_scaling_before_a_convolution_moves_into_it(drawn: Any, count: int) -> None:
    step, rng = drawn
    factor, shift, x = rng.normal(size=(1, 1, count)), rng.normal(size=(1, 1, count)), rng.normal(size=(6, 5, 3))
    np.testing.assert_allclose(
        convolved(x, scale_input(step, factor=factor, shift=shift)), convolved(x * factor + shift, step), atol=1e-9
    )


@given(convolutions(), st.booleans())
def test_a_scaling_behind_a_convolution_moves_into_it(drawn: Any, by_channel: bool) -> None:
    step, rng = drawn
    count = step.channels if by_channel else 1
    factor, shift, x = rng.normal(size=count), rng.normal(size=count), rng.normal(size=(6, 5, 3))
    moved = scale_output(step, factor=factor, shift=shift)
    assert isinstance(moved, Convolve)
    np.testing.assert_allclose(convolved(x, moved), convolved(x, step) * factor + shift, atol=1e-9)


def norm(*, channels: int) -> Normalize:
    # gamma 3, beta 1, mean 4, variance 0.24 + epsilon 0.01: x * 6 - 23
    values = (np.full(channels, value) for value in (3.0, 1.0, 4.0, 0.24))
    gamma, beta, mean, variance = values
    return Normalize(name="n", gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=0.01)


def test_normalization_as_a_scale_by_hand() -> None:
    scale = norm(channels=2).scale()
    np.testing.assert_allclose(scale.factor, [6, 6])
    np.testing.assert_allclose(scale.shift, [-23, -23])


def test_normalization_then_a_scaling_by_hand() -> None:
    twice = scale_output(norm(channels=2), factor=np.array([2.0]), shift=np.array([1.0]))
    assert isinstance(twice, Normalize)
    np.testing.assert_allclose(twice.scale().factor, [12, 12])
    np.testing.assert_allclose(twice.scale().shift, [-45, -45])


def conv(name: str = "c", *, takes: int = 1, size: int = 1, padding: Any = "valid") -> Convolve:
    return Convolve(name=name, kernel=np.ones((size, size, takes, 2)), padding=padding)


def graph_of(*steps: Step) -> StepGraph:
    """Steps that follow one another."""
    graph = StepGraph()
    graph.add(steps, [IMAGE])
    return graph


def canonical(graph: StepGraph) -> Canonical:
    return canonical_of(graph, (4, 4, 1))


def answers(graph: StepGraph, image: Any) -> Any:
    network, _, _ = network_of(canonical(graph))
    return network.predict(np.asarray(image, np.float32), verbose=0)


def kinds(graph: StepGraph) -> list[str]:
    """The kinds of the layers between the input and the last reshape."""
    return [type(layer).__name__ for layer in network_of(canonical(graph))[0].layers[1:-1]]


ONES = np.ones((1, 4, 4, 1), np.float32)


def test_a_pending_scaling_goes_through_the_mean_into_the_head_by_hand() -> None:
    # relu(x) of ones is 1 in both channels; 6 * 1 - 23 = -17; the head adds both up, twice: -34 each.
    steps = [conv(), Clip(name="r", ceiling=None), norm(channels=2), Average(name="a"), conv("head", takes=2)]
    np.testing.assert_allclose(answers(graph_of(*steps), ONES), [[-34, -34]], rtol=1e-5)
    assert kinds(graph_of(*steps)) == ["Conv2D", "ReLU", "GlobalAveragePooling2D", "Conv2D"]


def test_a_factor_alone_goes_through_padding_but_a_shift_becomes_a_convolution_by_hand() -> None:
    behind = [conv(), Clip(name="r", ceiling=None)]
    scale = Scale(name="s", factor=np.array([2.0]), shift=np.zeros(1))
    shift = Scale(name="s", factor=np.ones(1), shift=np.array([2.0]))
    padded = [Pad(name="p", amounts=((1, 1), (1, 1))), conv("d", takes=2, size=6)]
    np.testing.assert_allclose(answers(graph_of(*behind, scale, *padded), ONES), [[64, 64]])  # 16 * 2 * 2
    assert kinds(graph_of(*behind, scale, *padded)) == ["Conv2D", "ReLU", "ZeroPadding2D", "Conv2D"]
    np.testing.assert_allclose(answers(graph_of(*behind, shift, *padded), ONES), [[96, 96]])  # 16 * 3 * 2: zeros stay
    expected = ["Conv2D", "ReLU", "DepthwiseConv2D", "ZeroPadding2D", "Conv2D"]
    assert kinds(graph_of(*behind, shift, *padded)) == expected
    same = [conv("d", takes=2, size=3, padding="same"), Average(name="a")]
    # 3 * 2 in each place of a window: 4 windows of 4 places, 8 of 6, 4 of 9
    mean = 6 * (4 * 4 + 8 * 6 + 4 * 9) / 16
    np.testing.assert_allclose(answers(graph_of(*behind, shift, *same), ONES), [[mean, mean]])


def test_same_padding_that_adds_nothing_takes_up_a_shift() -> None:
    shift = Scale(name="s", factor=np.ones(1), shift=np.array([2.0]))
    steps = [conv(), Clip(name="r", ceiling=None), shift, conv("d", takes=2, padding="same"), Average(name="a")]
    np.testing.assert_allclose(answers(graph_of(*steps), ONES), [[6, 6]])  # (1 + 2) for each of two channels
    assert "DepthwiseConv2D" not in kinds(graph_of(*steps))


def test_a_scaling_that_another_step_must_not_see_stays_out_of_the_convolution_by_hand() -> None:
    """y = conv(image) is read as it is, and times 2 plus 1: y + (2 y + 1) = 4 for y = 1."""
    graph = StepGraph()
    y = graph.add([conv()], [IMAGE])
    scaled = graph.add([Scale(name="s", factor=np.array([2.0]), shift=np.array([1.0]))], [y])
    graph.add([Sum(name="sum"), Average(name="a")], [y, scaled])
    np.testing.assert_allclose(answers(graph, ONES), [[4, 4]])
    assert kinds(graph) == ["Conv2D", "DepthwiseConv2D", "Add", "GlobalAveragePooling2D"]


def test_normalization_of_a_tensor_with_two_readers_is_not_folded_by_hand() -> None:
    """6 y - 23 beside y = 1: 1 - 17."""
    graph = StepGraph()
    y = graph.add([conv()], [IMAGE])
    scaled = graph.add([norm(channels=2)], [y])
    graph.add([Sum(name="sum"), Average(name="a")], [y, scaled])
    np.testing.assert_allclose(answers(graph, ONES), [[-16, -16]], rtol=1e-5)


def test_scalings_go_through_a_concatenation_into_the_next_convolution_by_hand() -> None:
    graph = StepGraph()
    y = graph.add([conv()], [IMAGE])
    one = graph.add([Clip(name="r", ceiling=None), Scale(name="s", factor=np.array([2.0]), shift=np.ones(1))], [y])
    two = graph.add([Clip(name="q", ceiling=0.5)], [y])
    graph.add([Concatenate(name="c"), conv("head", takes=4), Average(name="a")], [one, two])
    np.testing.assert_allclose(answers(graph, ONES), [[7, 7]])  # 3 + 3 + 0.5 + 0.5
    assert "DepthwiseConv2D" not in kinds(graph)


@pytest.mark.parametrize(("factor", "depthwise"), [(2.0, 0), (-2.0, 1)])
def test_the_largest_value_takes_a_scaling_with_it_unless_it_turns_the_order(factor: float, depthwise: int) -> None:
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    scale = Scale(name="s", factor=np.array([factor]), shift=np.ones(1))
    window = Window(size=(2, 2), strides=(2, 2), padding="valid")
    behind = [Maximum(name="m", window=window), Average(name="a"), conv("head", takes=2)]
    graph = graph_of(conv(), Clip(name="r", ceiling=None), scale, *behind)
    largest = [5, 7, 13, 15] if factor > 0 else [0, 2, 8, 10]
    expected = 2 * (factor * np.mean(largest) + 1)
    np.testing.assert_allclose(answers(graph, image), [[expected, expected]], rtol=1e-6)
    assert kinds(graph).count("DepthwiseConv2D") == depthwise


def test_one_convolution_reads_the_image_by_hand() -> None:
    """image + relu(image) of two: 4; both read a copy of the image."""
    graph = StepGraph()
    relu = graph.add([Clip(name="r", ceiling=None)], [IMAGE])
    graph.add([Sum(name="sum"), conv("head"), Average(name="a")], [IMAGE, relu])
    np.testing.assert_allclose(answers(graph, 2 * ONES), [[4, 4]])
    assert kinds(graph)[0] == "Conv2D"
    clipped = graph_of(Clip(name="r", ceiling=None), conv("head"), Average(name="a"))
    assert kinds(clipped)[:2] == ["Conv2D", "ReLU"]
    depthwise = as_convolution("d", factor=np.array([3.0]), shift=np.ones(1), channels=1)
    chain = graph_of(depthwise, conv("head"), Average(name="a"))
    np.testing.assert_allclose(answers(chain, ONES), [[4, 4]])
    assert kinds(chain) == ["Conv2D", "Conv2D", "GlobalAveragePooling2D"]


def test_a_single_score_becomes_two_by_hand() -> None:
    one = Dense(name="head", kernel=np.array([[3.0], [2.0]]), bias=np.array([-1.0]))
    graph = graph_of(conv(), Average(name="a", is_flat=True), one)
    np.testing.assert_allclose(answers(graph, ONES), [[0, 4]])
    assert canonical(graph).is_one_score
    relu = graph_of(conv(), Average(name="a", is_flat=True), one, Clip(name="r", ceiling=None))
    np.testing.assert_allclose(answers(relu, ONES), [[0, 4]])
    assert kinds(relu)[-1] == "Conv2D"


def test_a_dense_layer_over_a_flat_map_sees_it_row_by_row() -> None:
    kernel = np.zeros((32, 2))
    kernel[2 * 5 + 1, 0] = 1  # place 5 is row 1, column 1; channel 1
    steps = [conv(), Shape(name="f", target=None), Dense(name="d", kernel=kernel)]
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, 1, 1] = 7
    np.testing.assert_allclose(answers(graph_of(*steps), image), [[7, 0]])


def test_names_stay_unique_and_legal() -> None:
    steps = [conv("a b"), conv("a/b", takes=2), conv("Image", takes=2), conv("image", takes=2), Average(name="é")]
    names = [layer.name for layer in network_of(canonical(graph_of(*steps)))[0].layers]
    assert names == ["image", "a_b", "a_b_2", "Image_2", "image_3", "layer", "reshape"]
    assert clean_name("functional_1/conv2d") == "functional_1_conv2d"


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ([conv(takes=2)], "c must have weights for 1 channels, got 2"),
        ([conv(), Dense(name="d", kernel=np.ones((3, 2)))], "d must have weights for 2 features, got 3"),
        ([conv(), Shape(name="s", target=(8, 2, 2))], r"s reshapes \(4, 4, 2\) to \(8, 2, 2\)"),
        ([conv(size=5)], "c gives a map of 0 x 0"),
        ([Pad(name="p", amounts=((9999, 0), (0, 0)))], "p gives a map of 10003 x 4"),
    ],
)
def test_steps_that_do_not_fit_are_refused(steps: list[Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        canonical(graph_of(*steps))


def joined(step: Any, *, strides: int = 1, takes: int = 1) -> StepGraph:
    graph = StepGraph()
    y = graph.add([conv()], [IMAGE])
    other = Convolve(name="other", kernel=np.ones((1, 1, 2, takes)), strides=(strides, strides))
    graph.add([step, Average(name="a")], [y, y if strides == 0 else graph.add([other], [y])])
    return graph


@pytest.mark.parametrize(
    ("graph", "match"),
    [
        (joined(Sum(name="s"), strides=2, takes=2), r"s joins tensors of shapes \(4, 4, 2\) and \(2, 2, 2\)"),
        (joined(Sum(name="s")), r"s joins tensors of shapes \(4, 4, 2\) and \(4, 4, 1\): they must have one shape"),
        (joined(Product(name="p")), r"p joins .*: they must have one shape, or one of \(1, 1, channels\)"),
        (joined(Concatenate(name="c"), strides=2), r"c joins .*: they must be maps of one size"),
        (joined(Concatenate(name="c", axis=1), takes=2), "c joins tensors along axis 1: it must be the last one"),
    ],
)
def test_tensors_that_do_not_fit_are_not_joined(graph: StepGraph, match: str) -> None:
    with pytest.raises(DataError, match=match):
        canonical(graph)


@pytest.mark.parametrize("step", [Sum(name="s"), Product(name="s"), Concatenate(name="s")])
def test_a_tensor_is_not_joined_with_itself(step: Any) -> None:
    graph = StepGraph()
    y = graph.add([conv()], [IMAGE])
    graph.add([step, Average(name="a")], [y, y])
    with pytest.raises(DataError, match="s joins a tensor with itself"):
        canonical(graph)
