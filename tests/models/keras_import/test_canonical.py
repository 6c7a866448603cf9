"""Scalings move into the convolutions beside them without changing what is computed, or are refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.canonical import ChainBuilder
from mbexport.models.keras_import.chain import (
    Array,
    Average,
    Clip,
    Convolve,
    Multiply,
    Normalize,
    Pad,
    Scale,
    Shape,
    clean_name,
    scale_input,
    scale_output,
)

pytestmark = pytest.mark.run


def convolved(x: Array, step: Convolve) -> Array:
    """The convolution of a (height, width, channels) map without padding, written out."""
    kh, kw = step.kernel.shape[:2]
    height, width = (1 + (side - kernel) // stride for side, kernel, stride in zip(
        x.shape[:2], (kh, kw), step.strides, strict=True
    ))  # fmt: skip
    out = np.zeros((height, width, step.kernel.shape[2 if step.is_depthwise else 3]))
    for row, column in np.ndindex(height, width):
        top, left = row * step.strides[0], column * step.strides[1]
        window = x[top : top + kh, left : left + kw]
        if step.is_depthwise:
            out[row, column] = (window * step.kernel[..., 0]).sum(axis=(0, 1))
        else:
            out[row, column] = np.tensordot(window, step.kernel, axes=3)
    return out + (0 if step.bias is None else step.bias)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Convolve, np.random.Generator]:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    is_depthwise, has_bias = draw(st.booleans()), draw(st.booleans())
    kernel = rng.normal(size=(draw(st.integers(1, 3)), draw(st.integers(1, 3)), 3, 1 if is_depthwise else 4))
    bias = rng.normal(size=3 if is_depthwise else 4) if has_bias else None
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
    count = step.kernel.shape[2 if step.is_depthwise else 3] if by_channel else 1
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


def chain_of(*steps: Any) -> ChainBuilder:
    chain = ChainBuilder((4, 4, 1))
    chain.add(steps)
    return chain


def test_a_pending_scaling_goes_through_the_mean_into_the_head_by_hand() -> None:
    # relu(x) of ones is 1 in both channels; 6 * 1 - 23 = -17; the head adds both up, twice: -34 each.
    steps = [conv(), Clip(name="r", ceiling=None), norm(channels=2), Average(name="a"), conv("head", takes=2)]
    network = chain_of(*steps).network()
    np.testing.assert_allclose(network.predict(np.ones((1, 4, 4, 1)), verbose=0), [[-34, -34]], rtol=1e-5)
    assert not any("batch" in type(layer).__name__.lower() for layer in network.layers)


def test_a_factor_alone_goes_through_padding_but_a_shift_does_not() -> None:
    behind = [conv(), Clip(name="r", ceiling=None)]
    scale = Scale(name="s", factor=np.array([2.0]), shift=np.zeros(1))
    shift = Scale(name="s", factor=np.ones(1), shift=np.array([2.0]))
    padded = [Pad(name="p", amounts=((1, 1), (1, 1))), conv("d", takes=2, size=6)]
    network = chain_of(*behind, scale, *padded).network()
    np.testing.assert_allclose(network.predict(np.ones((1, 4, 4, 1)), verbose=0), [[64, 64]])  # 16 * 2 * 2
    for refused in (padded, [conv("d", takes=2, size=3, padding="same")]):
        with pytest.raises(DataError, match=r"s scales the map before"):
            chain_of(*behind, shift, *refused)


def test_same_padding_that_adds_nothing_takes_up_a_shift() -> None:
    shift = Scale(name="s", factor=np.ones(1), shift=np.array([2.0]))
    steps = [conv(), Clip(name="r", ceiling=None), shift, conv("d", takes=2, padding="same"), Average(name="a")]
    found = chain_of(*steps).network().predict(np.ones((1, 4, 4, 1)), verbose=0)
    np.testing.assert_allclose(found, [[6, 6]])  # (1 + 2) for each of two channels


def test_a_dense_layer_over_a_flat_map_sees_it_row_by_row() -> None:
    kernel = np.zeros((32, 2))
    kernel[2 * 5 + 1, 0] = 1  # place 5 is row 1, column 1; channel 1
    steps = [conv(), Shape(name="f", target=None), Multiply(name="d", kernel=kernel)]
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, 1, 1] = 7
    np.testing.assert_allclose(chain_of(*steps).network().predict(image, verbose=0), [[7, 0]])


def test_names_stay_unique_and_legal() -> None:
    steps = [conv("a b"), conv("a/b", takes=2), conv("Image", takes=2), conv("image", takes=2), Average(name="é")]
    names = [layer.name for layer in chain_of(*steps).network().layers]
    assert names == ["image", "a_b", "a_b_2", "Image_2", "image_3", "layer", "reshape"]
    assert clean_name("functional_1/conv2d") == "functional_1_conv2d"


@pytest.mark.parametrize(
    ("steps", "match"),
    [
        ([conv(takes=2)], "c must have weights for 1 channels, got 2"),
        ([conv(), Multiply(name="d", kernel=np.ones((3, 2)))], "d must have weights for 2 features, got 3"),
        ([conv(), Shape(name="s", target=(8, 2, 2))], r"s reshapes \(4, 4, 2\) to \(8, 2, 2\)"),
        ([conv(size=5)], "c gives a map of 0 x 0"),
        ([Pad(name="p", amounts=((9999, 0), (0, 0)))], "p gives a map of 10003 x 4"),
    ],
)
def test_steps_that_do_not_fit_are_refused(steps: list[Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        chain_of(*steps)
