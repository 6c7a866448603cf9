"""Crop, resize and normalization: the bytes and numbers of the network's input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import OptionError
from mbexport.models.preprocess import Normalization, Preprocess, own_normalization

ALL_BYTES = np.arange(256, dtype=np.uint8)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_normalize_by_hand() -> None:
    given_bytes = np.array([0, 51, 127, 128, 255], np.uint8)
    expected = [-1, -0.6, -0.5 / 127.5, 0.5 / 127.5, 1]
    assert Preprocess(resolution_px=32).normalize(given_bytes) == pytest.approx(expected, abs=1e-7)


def test_normalize_hits_the_ends_exactly() -> None:
    ends = Preprocess(resolution_px=32).normalize(np.array([0, 255], np.uint8))
    assert ends.tolist() == [-1.0, 1.0]
    assert ends.dtype == np.float32


def test_dequantize_by_hand() -> None:
    found = Preprocess(resolution_px=32).dequantize(np.array([0, 128, 255], np.uint8))
    assert found == pytest.approx([-128 / 127.5, 0, 127 / 127.5], abs=1e-7)
    assert found.dtype == np.float32


def test_the_input_of_an_integer_artifact() -> None:
    prepared = Preprocess(resolution_px=32)
    assert prepared.input_zero_point == 128
    assert prepared.input_scale == pytest.approx(1 / 127.5)
    assert prepared.input_shift == pytest.approx((0.5 / 127.5,) * 3)
    assert prepared.input_gain == (1, 1, 1)
    assert prepared.shape == (32, 32, 3)


def test_a_mean_that_is_a_byte_needs_no_shift() -> None:
    prepared = Preprocess(resolution_px=32, normalization=Normalization(mean=(128,), std=(128,)))
    assert (prepared.input_zero_point, prepared.input_shift) == (128, (0, 0, 0))


@pytest.mark.parametrize("size", [(8, 8), (100, 60), (60, 100), (1, 1), (1, 300), (299, 299)])
def test_pixels_have_the_networks_shape(size: tuple[int, int]) -> None:
    found = Preprocess(resolution_px=32).pixels(noise(*size))
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.uint8


@given(st.integers(1, 80), st.integers(1, 80), st.floats(min_value=0.001, max_value=1), st.sampled_from([32, 64]))
def test_one_colour_stays_that_colour(width: int, height: int, fraction: float, px: int) -> None:
    image = Image.new("RGB", (width, height), (7, 130, 250))
    found = Preprocess(resolution_px=px, crop_fraction=fraction).pixels(image)
    assert found.shape == (px, px, 3)
    assert (found == (7, 130, 250)).all()


def test_an_image_that_fits_is_taken_as_it_is() -> None:
    image = noise(32, 32)
    assert (Preprocess(resolution_px=32, crop_fraction=1.0).pixels(image) == np.asarray(image)).all()


def test_the_centre_is_kept() -> None:
    # 60 * 0.5 = 30 px, 35 from the left and 15 from the top.
    image = Image.new("RGB", (100, 60), RED)
    image.paste(GREEN, (35, 15, 65, 45))
    found = Preprocess(resolution_px=32, crop_fraction=0.5).pixels(image)
    assert (found[1:-1, 1:-1] == GREEN).all()


def test_nothing_outside_the_crop_bleeds_into_the_picture() -> None:
    image = Image.new("RGB", (100, 60), RED)
    image.paste(GREEN, (35, 15, 65, 45))
    found = Preprocess(resolution_px=32, crop_fraction=0.5).pixels(image)
    assert (found == GREEN).all()


@pytest.mark.parametrize("px", [224, 160])
def test_cropping_first_and_resizing_then_gives_the_same_bytes(px: int) -> None:
    # What an app does on its own: 0.875 of 256 px is 224 px, 38 from the left and 16 from the top.
    image = noise(300, 256)
    expected = image.crop((38, 16, 262, 240)).resize((px, px), Image.Resampling.BILINEAR)
    assert (Preprocess(resolution_px=px).pixels(image) == np.asarray(expected)).all()


def test_halving_averages_over_more_than_the_nearest_pixels() -> None:
    # A checkerboard of single pixels: without anti-aliasing every second pixel would be lost and leave one colour.
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = Preprocess(resolution_px=32, crop_fraction=1.0).pixels(Image.fromarray(board).convert("RGB"))
    assert np.abs(found.astype(int) - 127.5).max() <= 40


def test_a_small_image_is_enlarged_smoothly() -> None:
    half = np.zeros((8, 8, 3), np.uint8)
    half[:, 4:] = 255
    found = Preprocess(resolution_px=32, crop_fraction=1.0).pixels(Image.fromarray(half))
    row = found[16, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 255
    assert (np.diff(row) >= 0).all()
    assert len(set(row)) > 2


@pytest.mark.parametrize("fraction", [0, -0.1, 1.001, math.nan, math.inf])
def test_crop_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(OptionError, match=r"crop fraction must be in \(0, 1\], got "):
        Preprocess(resolution_px=32, crop_fraction=fraction)


@pytest.mark.parametrize("px", [0, -32, math.nan])
def test_a_resolution_below_one_is_refused(px: int) -> None:
    with pytest.raises(OptionError, match="resolution must be at least 1, got "):
        Preprocess(resolution_px=px)


def test_what_is_not_cropped_keeps_the_scale() -> None:
    # 146 px of the whole are 128 px of its seven eighths.
    whole = Preprocess(resolution_px=128, channels=1).uncropped
    assert (whole.resolution_px, whole.crop_fraction, whole.channels) == (146, 1.0, 1)
    assert Preprocess(resolution_px=96, crop_fraction=1.0).uncropped == Preprocess(resolution_px=96, crop_fraction=1.0)


def test_the_centre_of_what_is_not_cropped_is_what_the_network_sees() -> None:
    ramp = Image.linear_gradient("L").convert("RGB")  # 256 x 256, one grey a row
    preprocess = Preprocess(resolution_px=112)
    whole = preprocess.uncropped.pixels(ramp).astype(float)
    np.testing.assert_allclose(whole[8:120, 8:120], preprocess.pixels(ramp), atol=1)


@pytest.mark.parametrize(
    ("scale", "offset", "is_of_bytes"),
    [
        (1 / 255, 0.0, True),
        (1 / 127.5, -1.0, True),
        (0.017, -2.1, True),  # what Keras' own MobileNet once had
        (1.0, -117.0, True),  # the mean alone
        (1 / 20, -1.0, True),  # dark pictures, normalized
        (2.0, -1.0, False),  # from 0..1 to -1..1
        (0.5, 0.5, False),  # from -1..1 to 0..1
        (1.0, -0.5, False),  # the mean of 0..1
        (1 / 0.229, -0.485 / 0.229, False),  # ImageNet's statistics of 0..1
        (0.2 / 0.05**0.5, 0.0, False),  # batch normalization of 0..1 with a small gamma
        (1 / 255, 1000.0, False),
    ],
)
def test_a_network_that_rescales_says_whether_it_means_bytes(scale: float, offset: float, is_of_bytes: bool) -> None:
    found = own_normalization((scale,), (offset,))
    assert (found is not None) is is_of_bytes
    if found is not None:
        assert (100 - found.mean[0]) / found.std[0] == pytest.approx(100 * scale + offset)


def test_one_channel_that_is_no_byte_is_enough() -> None:
    assert own_normalization((1 / 255, 1 / 255, 2.0), (0.0, 0.0, -1.0)) is None


@given(st.floats(1e-4, 0.2), st.floats(0, 255))
def test_statistics_of_bytes_are_told_from_those_of_numbers_up_to_one(scale: float, mean: float) -> None:
    """The same standardization, of bytes and of the same pixels between 0 and 1: only the first means bytes."""
    assert own_normalization((scale,), (-mean * scale,)) is not None
    assert own_normalization((scale * 255 + 4,), (-mean * scale,)) is None
