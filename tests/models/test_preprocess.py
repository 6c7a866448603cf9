"""Crop, resize and normalization: the bytes and numbers of the network's input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import OptionError
from mbexport.models.preprocess import (
    Normalization,
    Preprocess,
    own_normalization,
    preprocess_from_json,
    preprocess_to_json,
)
from mbexport.models.resolution import Resolution

ALL_BYTES = np.arange(256, dtype=np.uint8)
RED, GREEN = (255, 0, 0), (0, 255, 0)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_normalize_by_hand() -> None:
    given_bytes = np.array([0, 51, 127, 128, 255], np.uint8)
    expected = [-1, -0.6, -0.5 / 127.5, 0.5 / 127.5, 1]
    assert Preprocess(resolution=Resolution.square(32)).normalize(given_bytes) == pytest.approx(expected, abs=1e-7)


def test_normalize_hits_the_ends_exactly() -> None:
    ends = Preprocess(resolution=Resolution.square(32)).normalize(np.array([0, 255], np.uint8))
    assert ends.tolist() == [-1.0, 1.0]
    assert ends.dtype == np.float32


def test_dequantize_by_hand() -> None:
    found = Preprocess(resolution=Resolution.square(32)).dequantize(np.array([0, 128, 255], np.uint8))
    assert found == pytest.approx([-128 / 127.5, 0, 127 / 127.5], abs=1e-7)
    assert found.dtype == np.float32


def test_the_input_of_an_integer_artifact() -> None:
    prepared = Preprocess(resolution=Resolution.square(32))
    assert prepared.input_zero_point == 128
    assert prepared.input_scale == pytest.approx(1 / 127.5)
    assert prepared.input_shift == pytest.approx((0.5 / 127.5,) * 3)
    assert prepared.input_gain == (1, 1, 1)
    assert prepared.shape == (32, 32, 3)


def test_a_mean_that_is_a_byte_needs_no_shift() -> None:
    prepared = Preprocess(resolution=Resolution.square(32), normalization=Normalization(mean=(128,), std=(128,)))
    assert (prepared.input_zero_point, prepared.input_shift) == (128, (0, 0, 0))


@pytest.mark.parametrize("size", [(8, 8), (100, 60), (60, 100), (1, 1), (1, 300), (299, 299)])
def test_pixels_have_the_networks_shape(size: tuple[int, int]) -> None:
    found = Preprocess(resolution=Resolution.square(32)).pixels(noise(*size))
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.uint8


@given(st.integers(1, 80), st.integers(1, 80), st.floats(min_value=0.001, max_value=1), st.sampled_from([32, 64]))
def test_one_colour_stays_that_colour(width: int, height: int, fraction: float, px: int) -> None:
    image = Image.new("RGB", (width, height), (7, 130, 250))
    found = Preprocess(resolution=Resolution.square(px), crop_fraction=fraction).pixels(image)
    assert found.shape == (px, px, 3)
    assert (found == (7, 130, 250)).all()


def test_an_image_that_fits_is_taken_as_it_is() -> None:
    image = noise(32, 32)
    assert (Preprocess(resolution=Resolution.square(32), crop_fraction=1.0).pixels(image) == np.asarray(image)).all()


def test_the_centre_is_kept() -> None:
    # 60 * 0.5 = 30 px, 35 from the left and 15 from the top.
    image = Image.new("RGB", (100, 60), RED)
    image.paste(GREEN, (35, 15, 65, 45))
    found = Preprocess(resolution=Resolution.square(32), crop_fraction=0.5).pixels(image)
    assert (found[1:-1, 1:-1] == GREEN).all()


def test_nothing_outside_the_crop_bleeds_into_the_picture() -> None:
    image = Image.new("RGB", (100, 60), RED)
    image.paste(GREEN, (35, 15, 65, 45))
    found = Preprocess(resolution=Resolution.square(32), crop_fraction=0.5).pixels(image)
    assert (found == GREEN).all()


@pytest.mark.parametrize("px", [224, 160])
def test_cropping_first_and_resizing_then_gives_the_same_bytes(px: int) -> None:
    # What an app does on its own: 0.875 of 256 px is 224 px, 38 from the left and 16 from the top.
    image = noise(300, 256)
    expected = image.crop((38, 16, 262, 240)).resize((px, px), Image.Resampling.BILINEAR)
    assert (Preprocess(resolution=Resolution.square(px)).pixels(image) == np.asarray(expected)).all()


def test_halving_averages_over_more_than_the_nearest_pixels() -> None:
    # A checkerboard of single pixels: without anti-aliasing every second pixel would be lost and leave one colour.
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0).pixels(
        Image.fromarray(board).convert("RGB")
    )
    assert np.abs(found.astype(int) - 127.5).max() <= 40


def test_a_small_image_is_enlarged_smoothly() -> None:
    half = np.zeros((8, 8, 3), np.uint8)
    half[:, 4:] = 255
    found = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0).pixels(Image.fromarray(half))
    row = found[16, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 255
    assert (np.diff(row) >= 0).all()
    assert len(set(row)) > 2


@pytest.mark.parametrize("fraction", [0, -0.1, 1.001, math.nan, math.inf])
def test_crop_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(OptionError, match=r"crop fraction must be in \(0, 1\], got "):
        Preprocess(resolution=Resolution.square(32), crop_fraction=fraction)


@pytest.mark.parametrize("px", [0, -32, math.nan])
def test_a_resolution_below_one_is_refused(px: int) -> None:
    with pytest.raises(OptionError, match="resolution must be at least 1 pixel a side, got "):
        Preprocess(resolution=Resolution.square(px))


def test_what_is_not_cropped_keeps_the_scale() -> None:
    # 146 px of the whole are 128 px of its seven eighths.
    whole = Preprocess(resolution=Resolution.square(128), channels=1).uncropped
    assert (whole.resolution, whole.crop_fraction, whole.channels) == (Resolution.square(146), 1.0, 1)
    assert Preprocess(resolution=Resolution.square(96), crop_fraction=1.0).uncropped == Preprocess(
        resolution=Resolution.square(96), crop_fraction=1.0
    )


def test_the_centre_of_what_is_not_cropped_is_what_the_network_sees() -> None:
    ramp = Image.linear_gradient("L").convert("RGB")  # 256 x 256, one grey a row
    preprocess = Preprocess(resolution=Resolution.square(112))
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


def shaped(height: int, width: int, fraction: float = 1.0, channels: int = 3) -> Preprocess:
    resolution = Resolution(height_px=height, width_px=width)
    return Preprocess(resolution=resolution, crop_fraction=fraction, channels=channels)


@pytest.mark.parametrize(
    ("target", "fraction", "size", "box"),
    [
        # 640 x 480 to 96 x 128 (3:4, as the image): all of it, and 7/8 of both sides: 420 x 560.
        ((96, 128), 1.0, (640, 480), (0, 0, 640, 480)),
        ((96, 128), 0.875, (640, 480), (40, 30, 600, 450)),
        # To 64 x 128 (1:2) the width limits: 640 x 320; 0.5 of it: 320 x 160.
        ((64, 128), 1.0, (640, 480), (0, 80, 640, 400)),
        ((64, 128), 0.5, (640, 480), (160, 160, 480, 320)),
        # To 128 x 64 (2:1) the height: 240 x 480.
        ((128, 64), 1.0, (640, 480), (200, 0, 440, 480)),
        # 0.875 * 99 = 86.625, so 87 rows; 87 * 2 / 3 = 58 columns; (100 - 58) // 2 = 21, (99 - 87) // 2 = 6.
        ((96, 64), 0.875, (100, 99), (21, 6, 79, 93)),
        # Halves go to the even neighbour: 0.5 * 5 = 2.5, so 2 rows, and 2 * 1.5 = 3 columns.
        ((64, 96), 0.5, (50, 5), (23, 1, 26, 3)),
        ((32, 320), 1.0, (4, 4), (0, 1, 4, 2)),  # 0.4 rows: at least one, and (4 - 1) // 2 = 1 above it
        ((320, 32), 1e-9, (7, 7), (3, 3, 4, 4)),
    ],
)
def test_the_crop_has_the_shape_of_the_input(
    target: tuple[int, int], fraction: float, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    assert shaped(*target, fraction).crop_box(*size) == box


IMAGE_SIDES = st.integers(1, 5000)
FRACTIONS = st.floats(0.01, 1.0)


@given(st.integers(1, 1024), st.integers(1, 1024), FRACTIONS, IMAGE_SIDES, IMAGE_SIDES)
def test_the_crop_lies_in_the_middle_of_the_image(
    rows: int, columns: int, fraction: float, width: int, height: int
) -> None:
    left, top, right, bottom = shaped(rows, columns, fraction).crop_box(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert width - right - left in (0, 1)
    assert height - bottom - top in (0, 1)
    kept_width, kept_height = right - left, bottom - top
    # The shape is that of the input to half a pixel of the side that follows from the other one.
    follows = kept_height * columns / rows - kept_width, kept_width * rows / columns - kept_height
    assert min(map(abs, follows)) <= 0.5 or 1 in (kept_width, kept_height)


@given(st.integers(1, 1024), FRACTIONS, IMAGE_SIDES, IMAGE_SIDES)
def test_the_crop_of_a_square_input_is_the_central_square(px: int, fraction: float, width: int, height: int) -> None:
    side = max(1, round(min(width, height) * fraction))
    left, top = (width - side) // 2, (height - side) // 2
    assert shaped(px, px, fraction).crop_box(width, height) == (left, top, left + side, top + side)


@given(st.integers(1, 1024), st.integers(1, 1024), FRACTIONS, IMAGE_SIDES, IMAGE_SIDES)
def test_a_turned_input_crops_a_turned_image(rows: int, columns: int, fraction: float, width: int, height: int) -> None:
    left, top, right, bottom = shaped(rows, columns, fraction).crop_box(width, height)
    if width * rows != height * columns:  # else the height counts both times, and is another side
        assert shaped(columns, rows, fraction).crop_box(height, width) == (top, left, bottom, right)


def test_a_wide_input_shows_a_wide_part_of_the_image() -> None:
    image = noise(40, 30)
    found = shaped(16, 32, 0.5).pixels(image)  # 0.5 * 40 = 20 columns, 10 rows, from (10, 10) on
    columns = image.crop((10, 10, 30, 20)).resize((32, 10), Image.Resampling.BILINEAR)
    expected = columns.resize((32, 16), Image.Resampling.BILINEAR)
    assert found.shape == (16, 32, 3)
    assert (found == np.asarray(expected)).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_columns_are_resized_before_rows(rows: int, columns: int, width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    preprocess, image = shaped(rows, columns), Image.fromarray(pixels)
    cropped = image.crop(preprocess.crop_box(width, height))
    across = cropped.resize((columns, cropped.height), Image.Resampling.BILINEAR)
    expected = across.resize((columns, rows), Image.Resampling.BILINEAR)
    assert (preprocess.pixels(image) == np.asarray(expected)).all()


@given(st.integers(1, 64), st.integers(1, 64), st.integers(0, 1000))
def test_of_a_square_pillow_itself_resizes_columns_first(side: int, px: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    steps = image.resize((px, side), Image.Resampling.BILINEAR).resize((px, px), Image.Resampling.BILINEAR)
    assert (shaped(px, px).pixels(image) == np.asarray(steps)).all()


def test_the_uncropped_scale_of_an_input_that_is_not_square() -> None:
    whole = shaped(96, 128, 0.875).uncropped
    assert (whole.resolution.sides_px, whole.crop_fraction) == ((110, 146), 1.0)  # 109.7 and 146.3


TRANSPARENT = np.array([[[200, 100, 50, 0], [10, 20, 30, 51]]], np.uint8)


def test_alpha_is_kept_for_a_network_that_takes_it() -> None:
    image = Image.fromarray(TRANSPARENT)
    assert (shaped(1, 2, channels=4).pixels(image) == TRANSPARENT).all()
    # ITU-R 601-2: (19595 * 200 + 38470 * 100 + 7471 * 50 + 32768) >> 16 = 124, and 18.
    assert shaped(1, 2, channels=2).pixels(image).tolist() == [[[124, 0], [18, 51]]]


def test_without_alpha_an_image_lies_on_white() -> None:
    image = Image.fromarray(TRANSPARENT)
    found = shaped(1, 2).pixels(image)
    assert found[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(found[0, 1], [0.2 * value + 0.8 * 255 for value in (10, 20, 30)], atol=1)
    assert shaped(1, 2, channels=1).pixels(image).tolist() == [[[255], [208]]]


@pytest.mark.parametrize("channels", [2, 4])
def test_an_image_without_alpha_is_opaque(channels: int) -> None:
    found = shaped(16, 24, 0.875, channels).pixels(noise(40, 30))
    opaque = shaped(16, 24, 0.875, 1 if channels == 2 else 3).pixels(noise(40, 30))
    assert (found[..., -1] == 255).all()
    assert (found[..., :-1] == opaque).all()


def test_colours_are_resized_without_regard_to_alpha() -> None:
    # White that is transparent beside black that is opaque, two rows of it: the mean of each channel by itself.
    pixels = np.array([[[255, 255, 255, 0], [0, 0, 0, 255]]] * 2, np.uint8)
    found = shaped(1, 1, channels=4).pixels(Image.fromarray(pixels))
    assert np.abs(found.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("channels", [2, 4])
def test_images_with_alpha_have_one_order_of_channels(channels: int) -> None:
    with pytest.raises(OptionError, match="have no other order of channels, got blue first"):
        Preprocess(
            resolution=Resolution.square(8),
            channels=channels,
            normalization=Normalization(mean=(1.0,), std=(1.0,), is_bgr=True),
        )


@pytest.mark.parametrize(("channels", "count"), [(2, 3), (3, 2), (3, 4), (4, 3)])
def test_there_is_a_mean_for_each_channel_or_one_for_all(channels: int, count: int) -> None:
    with pytest.raises(OptionError, match=f"images must be 1 or {channels} numbers, got {count} and 1"):
        Preprocess(
            resolution=Resolution.square(8),
            channels=channels,
            normalization=Normalization(mean=(1.0,) * count, std=(1.0,)),
        )


def test_a_stretched_image_is_shown_whole_whatever_its_shape() -> None:
    fed = Preprocess(resolution=Resolution.square(32), crop_fraction=1, is_stretched=True)
    image = Image.new("RGB", (64, 32), RED)
    image.paste(GREEN, (0, 0, 8, 32))  # an eighth of the width, which a central square leaves out
    found = fed.pixels(image)
    assert found.shape == (32, 32, 3)
    assert (found[:, :3] == GREEN).all()
    assert (found[:, 5:] == RED).all()
    assert fed.crop_box(64, 32) == (0, 0, 64, 32)


@given(width=st.integers(1, 80), height=st.integers(1, 80), seed=st.integers(0, 9))
def test_columns_of_a_stretched_image_are_resized_before_rows(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    by_hand = image.resize((16, height), Image.Resampling.BILINEAR).resize((16, 16), Image.Resampling.BILINEAR)
    fed = Preprocess(resolution=Resolution.square(16), crop_fraction=1, is_stretched=True)
    assert np.array_equal(fed.pixels(image), np.asarray(by_hand))


def test_what_is_stretched_is_not_cropped() -> None:
    with pytest.raises(OptionError, match=r"crop fraction must be 1 where images are stretched, got 0\.5"):
        Preprocess(resolution=Resolution.square(32), crop_fraction=0.5, is_stretched=True)


@pytest.mark.parametrize("is_stretched", [False, True])
def test_stretching_is_kept_in_json(is_stretched: bool) -> None:
    fed = Preprocess(resolution=Resolution.square(32), crop_fraction=1, is_stretched=is_stretched)
    values = preprocess_to_json(fed)
    assert values.get("stretched", False) is is_stretched
    assert preprocess_from_json(values) == fed
