"""Bytes to numbers: the conventions that networks are trained with, and how an integer artifact matches each."""

import math

import numpy as np
import pytest
import tf_keras
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import OptionError
from mbexport.models.preprocess import CAFFE, MOBILENET, NORMALIZATIONS, RAW, UNIT, Normalization, Preprocess
from mbexport.models.resolution import Resolution

ALL_BYTES = np.arange(256, dtype=np.uint8)
COLOURS = np.stack([ALL_BYTES, ALL_BYTES[::-1], np.roll(ALL_BYTES, 99)], axis=-1)  # (256, 3)

Numbers = tuple[float, ...]


def one_or_three(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Numbers]:
    return st.one_of(st.tuples(numbers), st.tuples(numbers, numbers, numbers))


MEANS = one_or_three(st.floats(-50, 300))
POSITIVES = one_or_three(st.floats(0.1, 1000))


@st.composite
def prepared(draw: st.DrawFn) -> Preprocess:
    """Any normalization, of colours in either order or of grey images."""
    if draw(st.booleans()):
        grey = Normalization(mean=(draw(st.floats(-50, 300)),), std=(draw(st.floats(0.1, 1000)),))
        return Preprocess(resolution=Resolution.square(32), channels=1, normalization=grey)
    colours = Normalization(mean=draw(MEANS), std=draw(POSITIVES), is_bgr=draw(st.booleans()))
    return Preprocess(resolution=Resolution.square(32), normalization=colours)


def as_network_takes(values: NDArray[np.float32], preprocess: Preprocess) -> NDArray[np.float32]:
    return values[..., ::-1] if preprocess.normalization.is_bgr else values


@given(prepared())
@example(Preprocess(resolution=Resolution.square(32), normalization=CAFFE))
@example(
    Preprocess(
        resolution=Resolution.square(32), normalization=Normalization(mean=(1, 2, 250), std=(3, 5, 7), is_bgr=True)
    )
)
def test_gain_times_dequantized_plus_shift_is_normalized(preprocess: Preprocess) -> None:
    pixels = COLOURS if preprocess.channels == 3 else ALL_BYTES[:, None]
    dequantized = as_network_takes(preprocess.dequantize(pixels), preprocess)
    found = dequantized * np.float32(preprocess.input_gain) + np.float32(preprocess.input_shift)
    expected = preprocess.normalize(pixels)
    assert len(preprocess.input_gain) == len(preprocess.input_shift) == preprocess.channels
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max()))


@given(prepared())
def test_the_zero_point_is_the_byte_nearest_to_the_mean(preprocess: Preprocess) -> None:
    mean = float(np.mean(preprocess.normalization.mean))
    assert 0 <= preprocess.input_zero_point <= 255
    assert abs(preprocess.input_zero_point - min(max(mean, 0), 255)) <= 0.5 + 1e-9
    assert preprocess.dequantize(np.array([preprocess.input_zero_point], np.uint8)).tolist() == [0]


def test_channels_of_their_own_mean_and_std_by_hand() -> None:
    # The mean of 10, 20 and 33 is 21. A step of the input is 1/2; in the others it means 1/4 and 1/8.
    own = Normalization(mean=(10, 20, 33), std=(2, 4, 8))
    preprocess = Preprocess(resolution=Resolution.square(32), normalization=own)
    assert (preprocess.input_scale, preprocess.input_zero_point) == (0.5, 21)
    assert preprocess.input_gain == (1, 0.5, 0.25)
    assert preprocess.input_shift == (5.5, 0.25, -1.5)
    pixel = np.array([12, 12, 1], np.uint8)
    assert preprocess.normalize(pixel).tolist() == [1, -2, -4]
    assert preprocess.dequantize(pixel).tolist() == [-4.5, -4.5, -10]


def test_blue_comes_first_where_the_network_wants_it() -> None:
    preprocess = Preprocess(resolution=Resolution.square(32), normalization=CAFFE)
    red_green_blue = np.array([[123, 116, 103]], np.uint8)
    # Means of blue, green and red, in this order.
    assert preprocess.normalize(red_green_blue)[0] == pytest.approx([-0.939, -0.779, -0.68], abs=1e-5)
    # The file's input stays RGB: the first convolution is turned instead. (103.939 + 116.779 + 123.68) / 3 = 114.8.
    assert preprocess.dequantize(red_green_blue).tolist() == [[8, 1, -12]]


@pytest.mark.parametrize(("name", "mode"), [("mobilenet", "tf"), ("caffe", "caffe")])
def test_conventions_are_those_of_keras_applications(name: str, mode: str) -> None:
    expected = tf_keras.applications.imagenet_utils.preprocess_input(
        COLOURS[None].astype(np.float32), data_format="channels_last", mode=mode
    )
    found = Preprocess(resolution=Resolution.square(32), normalization=NORMALIZATIONS[name]).normalize(COLOURS[None])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_plain_conventions() -> None:
    assert dict(NORMALIZATIONS) == {"mobilenet": MOBILENET, "unit": UNIT, "caffe": CAFFE, "raw": RAW}
    unit, raw = (
        Preprocess(resolution=Resolution.square(32), normalization=NORMALIZATIONS[name]) for name in ("unit", "raw")
    )
    np.testing.assert_array_equal(unit.normalize(COLOURS), COLOURS / np.float32(255))
    np.testing.assert_array_equal(raw.normalize(COLOURS), COLOURS.astype(np.float32))
    for preprocess in (unit, raw):  # zero is a byte: nothing is left for the first convolution to absorb
        assert (preprocess.input_zero_point, preprocess.input_shift) == (0, (0, 0, 0))


def test_then_by_hand() -> None:
    # A network for 0..1 whose first layer computes 2x - 1 is one for -1..1.
    assert UNIT.then((2.0,), (-1.0,)) == Normalization(mean=(127.5,), std=(127.5,))
    assert RAW.then((0.5,), (10.0, 0.0, -1.0)) == Normalization(mean=(-20, 0, 2), std=(2, 2, 2))
    assert CAFFE.then((1.0,), (0.0,)) == Normalization(mean=CAFFE.mean, std=(1, 1, 1), is_bgr=True)


@given(MEANS, POSITIVES, one_or_three(st.floats(0.01, 100)), one_or_three(st.floats(-100, 100)), st.booleans())
@example((1.0,), (2.0,), (3.0, 4.0, 5.0), (6.0,), True)
def test_then_is_one_after_the_other(mean: Numbers, std: Numbers, scale: Numbers, offset: Numbers, bgr: bool) -> None:
    first = Normalization(mean=mean, std=std, is_bgr=bgr)
    normalized = Preprocess(resolution=Resolution.square(32), normalization=first).normalize(COLOURS).astype(np.float64)
    expected = normalized * np.array(scale) + np.array(offset)
    composed = first.then(scale, offset)
    found = Preprocess(resolution=Resolution.square(32), normalization=composed).normalize(COLOURS)
    largest = np.abs(normalized * np.array(scale)).max() + np.abs(offset).max()
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, largest))
    assert composed.is_bgr == bgr


@pytest.mark.parametrize("scale", [(0.0,), (-1.0,), (math.nan,), (math.inf,), (1.0, 1.0, 0.0)])
def test_a_rescaling_that_is_not_positive_is_refused(scale: Numbers) -> None:
    with pytest.raises(OptionError, match="rescaling must be by positive numbers, got"):
        MOBILENET.then(scale, (0.0,))


@pytest.mark.parametrize(("mean", "std"), [((), (1,)), ((1,) * 5, (1,)), ((1, 2), (1, 2, 3)), ((1,), ())])
def test_other_than_one_number_or_one_for_each_channel_are_refused(mean: Numbers, std: Numbers) -> None:
    with pytest.raises(OptionError, match=f"1 to 4 numbers, got {len(mean)} and {len(std)}"):
        Normalization(mean=mean, std=std)


@pytest.mark.parametrize("mean", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_mean_that_is_not_finite_is_refused(mean: float, place: int) -> None:
    means = [0.0, 0.0, 0.0]
    means[place] = mean
    for given_means in (tuple(means), (mean,)):
        with pytest.raises(OptionError, match="mean must be finite, got"):
            Normalization(mean=given_means, std=(1,))


@pytest.mark.parametrize("std", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_std_that_is_not_positive_is_refused(std: float, place: int) -> None:
    stds = [1.0, 1.0, 1.0]
    stds[place] = std
    for given_stds in (tuple(stds), (std,)):
        with pytest.raises(OptionError, match="std must be positive and finite, got"):
            Normalization(mean=(0,), std=given_stds)


@pytest.mark.parametrize("channels", [0, 5, -1, math.nan])
def test_other_than_one_to_four_channels_are_refused(channels: int) -> None:
    with pytest.raises(OptionError, match="channels must be 1 to 4, got"):
        Preprocess(resolution=Resolution.square(32), channels=channels)


@pytest.mark.parametrize(
    "colours",
    [
        CAFFE,
        Normalization(mean=(1, 2, 3), std=(1,)),
        Normalization(mean=(1,), std=(1, 2, 3)),
        Normalization(mean=(1,), std=(1,), is_bgr=True),
    ],
)
def test_a_grey_image_has_no_colours_to_normalize(colours: Normalization) -> None:
    with pytest.raises(OptionError, match="a grey image has one mean, one std and no order"):
        Preprocess(resolution=Resolution.square(32), channels=1, normalization=colours)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_grey_images_are_pillows_luma_cropped_and_resized(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    preprocess = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0, channels=1)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.convert("L").crop((left, top, left + side, top + side))
    expected = np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR))
    found = preprocess.pixels(image)
    assert found.shape == preprocess.shape == (32, 32, 1)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], expected)


def test_grey_by_hand() -> None:
    # ITU-R 601-2: 0.299 red + 0.587 green + 0.114 blue, here 59.8 + 58.7 + 5.7 = 124.2.
    preprocess = Preprocess(resolution=Resolution.square(32), channels=1)
    found = preprocess.pixels(Image.new("RGB", (40, 40), (200, 100, 50)))
    assert np.unique(found).tolist() == [124]
    assert preprocess.normalize(found).shape == preprocess.dequantize(found).shape == (32, 32, 1)


@given(st.integers(0, 255), st.integers(0, 255))
def test_a_grey_picture_keeps_its_shades(dark: int, light: int) -> None:
    assume(dark != light)
    halves = np.full((32, 32, 3), dark, np.uint8)
    halves[:, 16:] = light
    found = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0, channels=1).pixels(Image.fromarray(halves))
    assert (found[..., 0] == halves[..., 0]).all()
