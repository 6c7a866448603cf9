"""Augmentation reaches its limits and no farther, repeats for a seed, and keeps values in 0..255."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import DIGITS_AUGMENTATION, PHOTO_AUGMENTATION, Augmentation, augment

pytestmark = pytest.mark.run

STILL = Augmentation(rotation_deg=0, zoom=0, shift=0, mirror=False, fill_mode="CONSTANT")
WILD = Augmentation(rotation_deg=180, zoom=0.5, shift=0.5, mirror=True, fill_mode="CONSTANT")
SEEDS = st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))


def moved(pixels: NDArray[np.uint8], how: Augmentation, seed: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
    found = np.asarray(augment(pixels, how, seed=np.array(seed, np.int64)))
    assert found.dtype == np.float32
    assert found.shape == pixels.shape
    return found


def noise(count: int, px: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, px, px, 3), dtype=np.uint8)


def only(**how: Any) -> Augmentation:
    return dataclasses.replace(STILL, **how)


@given(hnp.arrays(np.uint8, (2, 5, 5, 3)), SEEDS, st.sampled_from(["CONSTANT", "REFLECT"]))
@settings(max_examples=20, deadline=None)
def test_no_augmentation_is_the_identity(pixels: NDArray[np.uint8], seed: tuple[int, int], fill: str) -> None:
    np.testing.assert_array_equal(moved(pixels, only(fill_mode=fill), seed), pixels)


def test_the_same_seed_moves_alike_and_another_does_not() -> None:
    pixels = noise(4)
    once = moved(pixels, PHOTO_AUGMENTATION, (3, 5))
    np.testing.assert_array_equal(moved(pixels, PHOTO_AUGMENTATION, (3, 5)), once)
    assert (moved(pixels, PHOTO_AUGMENTATION, (19, 5)) != once).any()
    assert (moved(pixels, PHOTO_AUGMENTATION, (3, 6)) != once).any()  # the next step of the same training


def test_each_image_of_a_batch_is_moved_on_its_own() -> None:
    same = np.repeat(noise(1), 4, axis=0)
    found = moved(same, PHOTO_AUGMENTATION)
    assert len({image.tobytes() for image in found}) == 4


@given(hnp.arrays(np.uint8, (2, 6, 6, 3)), SEEDS, st.sampled_from([DIGITS_AUGMENTATION, PHOTO_AUGMENTATION, WILD]))
@settings(max_examples=30, deadline=None)
def test_values_stay_within_those_of_a_byte(
    pixels: NDArray[np.uint8], seed: tuple[int, int], how: Augmentation
) -> None:
    found = moved(pixels, how, seed)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 255 * (1 + 1e-5)  # interpolation weights add up to 1 but for rounding


def test_mirroring_gives_the_image_or_its_mirror() -> None:
    pixels = noise(32)
    found = moved(pixels, only(mirror=True))
    mirrored = [bool((image == source[:, ::-1]).all()) for image, source in zip(found, pixels, strict=True)]
    kept = [bool((image == source).all()) for image, source in zip(found, pixels, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 4 < sum(mirrored) < 28  # 16 expected; outside in one of 50 000 seeds


def test_the_centre_stays_where_it_is_under_rotation_zoom_and_mirror() -> None:
    pixels = noise(16, px=9)
    found = moved(pixels, only(rotation_deg=180, zoom=0.4, mirror=True))
    np.testing.assert_allclose(found[:, 4, 4], pixels[:, 4, 4], atol=0.1)
    assert np.abs(found - pixels).max() > 50


@pytest.mark.parametrize(
    ("how", "column", "far"),
    [(only(shift=0.25), 10, 5), (only(shift=0.1), 10, 2), (only(rotation_deg=10), 15, 2)],
    ids=["shift by 4.25 px", "shift by 1.7 px", "rotation by 1.2 px"],
)
def test_a_dot_moves_as_far_as_its_limit_and_no_farther(how: Augmentation, column: int, far: int) -> None:
    # 17 px wide, so the centre is pixel 8: a dot 7 px beside it moves 7 sin(10 deg) = 1.2 px. Interpolation rounds up.
    pixels = np.zeros((64, 17, 17, 3), np.uint8)
    pixels[:, 8, column] = 255
    reached = np.argwhere(moved(pixels, how).max(axis=(0, 3)) > 0)
    assert np.abs(reached - (8, column)).max() == far


def test_turning_and_mirroring_keep_a_round_shape_round() -> None:
    rows, columns = np.indices((17, 17)) - 8
    disc = 255 * np.exp(-(rows**2 + columns**2) / 18)
    pixels = np.repeat(np.stack([disc] * 3, axis=-1)[None].round().astype(np.uint8), 32, axis=0)
    found = moved(pixels, only(rotation_deg=180, mirror=True))
    assert np.abs(found - pixels)[:, 4:-4, 4:-4].max() < 12  # what interpolation costs


def test_zoom_keeps_within_its_limit() -> None:
    # Bars 5 px off the centre of 17 are found at 5 / (1 ± 0.2) px: 4.2 to 6.25, and interpolation reaches 1 px on.
    pixels = np.zeros((64, 17, 17, 3), np.uint8)
    pixels[:, :, [3, 13]] = 255
    seen = np.flatnonzero(moved(pixels, only(zoom=0.2))[:, 8].max(axis=(0, 2)) > 0)
    offsets = np.abs(seen - 8)
    assert offsets.min() >= 4
    assert offsets.max() <= 7
    assert len(set(offsets.tolist())) > 1


def test_what_comes_from_outside_is_black_for_digits_and_reflected_for_photos() -> None:
    white = np.full((8, 8, 8, 3), 255, np.uint8)
    assert moved(white, DIGITS_AUGMENTATION).min() == 0
    in_the_same_light = dataclasses.replace(PHOTO_AUGMENTATION, light=0)
    assert moved(white, in_the_same_light).min() == pytest.approx(255, abs=0.01)


def test_zoom_in_never_shows_more_than_there_was() -> None:
    # Bars 5 px off the centre are found at 5 / (1 - 0.2) = 6.25 px at most, and never nearer than they were.
    pixels = np.zeros((64, 17, 17, 3), np.uint8)
    pixels[:, :, [3, 13]] = 255
    found = moved(pixels, only(zoom_in=0.2))[:, 8].max(axis=2)
    offsets = np.abs(np.flatnonzero((found > 128).any(axis=0)) - 8)
    assert offsets.min() >= 5
    assert offsets.max() == 6
    assert found.argmax(axis=1).tolist().count(3) < 64


def test_light_by_hand() -> None:
    # One colour: contrast has nothing to stretch; brightness adds 0.1 * 255 at most, each channel is scaled by 5 %.
    grey = np.full((256, 4, 4, 3), 100, np.uint8)
    found = moved(grey, only(light=0.1))
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1, :1], found.shape))
    low, high = (100 - 0.1 * 255 / 2) * 0.95, (100 + 0.1 * 255 / 2) * 1.05
    assert low <= found.min() < low + 5
    assert high - 5 < found.max() <= high
    assert np.ptp(found[:, 0, 0], axis=1).max() > 5  # the balance of the channels


@pytest.mark.parametrize("channels", [2, 4])
def test_light_leaves_alpha_alone(channels: int) -> None:
    images = np.full((2, 4, 4, channels), 100, np.uint8)
    found = moved(images, only(light=0.2))
    assert (found[..., -1] == 100).all()
    assert (found[..., 0] != 100).all()


def test_light_changes_contrast_about_the_mean() -> None:
    stripes = np.zeros((256, 4, 4, 1), np.uint8)
    stripes[:, :2], stripes[:, 2:] = 110, 140  # too few to reach a bound: the difference says the contrast
    found = moved(stripes, only(light=0.2))[..., 0]
    ratios = (found[:, 3] - found[:, 0])[:, 0] / 30
    assert 0.8 * 0.9 - 1e-5 <= ratios.min() < 0.8
    assert 1.2 < ratios.max() <= 1.2 * 1.1 + 1e-5


def test_light_stays_within_a_byte_at_both_ends() -> None:
    ends = np.zeros((64, 4, 4, 3), np.uint8)
    ends[:, :, 2:] = 255
    found = moved(ends, only(light=0.5))
    assert (found.min(), found.max()) == (0, 255)


@given(st.integers(5, 12), SEEDS)
@settings(max_examples=10, deadline=None)
def test_output_of_another_size_is_the_centre_at_the_same_scale(px: int, seed: tuple[int, int]) -> None:
    pixels = noise(2, px=px + 4)
    found = np.asarray(augment(pixels, only(), seed=np.array(seed, np.int64), output=Resolution.square(px)))
    np.testing.assert_allclose(found, pixels[:, 2:-2, 2:-2], atol=1e-3)


def test_what_lies_around_the_crop_is_moved_into_it() -> None:
    framed = np.zeros((32, 12, 12, 3), np.uint8)
    framed[:, 2:-2, 2:-2] = 255
    found = np.asarray(augment(framed, only(shift=0.2), seed=np.array((0, 0), np.int64), output=Resolution.square(8)))
    assert found.shape == (32, 8, 8, 3)
    assert found.min() == 0  # the frame, where a shift of the crop alone would have had to invent something


@given(hnp.arrays(np.uint8, (3, 6, 6, 3)), SEEDS, st.sampled_from([DIGITS_AUGMENTATION, PHOTO_AUGMENTATION, WILD]))
@settings(max_examples=20, deadline=None)
def test_one_channel_is_moved_as_it_is_among_three(
    pixels: NDArray[np.uint8], seed: tuple[int, int], how: Augmentation
) -> None:
    how = dataclasses.replace(how, light=0)  # which looks at all channels together
    np.testing.assert_array_equal(moved(pixels[..., 1:2], how, seed), moved(pixels, how, seed)[..., 1:2])


def test_digits_are_never_mirrored() -> None:
    assert not DIGITS_AUGMENTATION.mirror
    assert PHOTO_AUGMENTATION.mirror


# ---- mixes


def test_a_mix_by_hand() -> None:
    # Of one grey each: a share of its own, and the rest of the image at the other end of the batch.
    shades = np.array([0, 50, 100, 200], np.uint8)
    found = moved(np.broadcast_to(shades[:, None, None, None], (4, 8, 8, 3)), only(mixes=True), (3, 1))
    assert np.ptp(found, axis=(1, 2, 3)).max() < 1e-4
    greys = found[:, 0, 0, 0]
    shares = (greys - shades[::-1]) / (shades.astype(float) - shades[::-1])
    assert ((shares >= 0) & (shares <= 1)).all()
    assert len(set(shares.round(3))) == 4


@given(hnp.arrays(np.uint8, (3, 5, 5, 3)), SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_mix_lies_between_the_images_as_they_are_without(pixels: NDArray[np.uint8], seed: tuple[int, int]) -> None:
    how = only(rotation_deg=10, mirror=True, light=0.2)
    single, found = (moved(pixels, each, seed) for each in (how, dataclasses.replace(how, mixes=True)))
    assert (found >= np.minimum(single, single[::-1]) - 1e-3).all()
    assert (found <= np.maximum(single, single[::-1]) + 1e-3).all()
