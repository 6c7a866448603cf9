"""Augmented boxes lie where their objects are seen, and the images are what a network is fed when it is used."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import OptionError
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.detection.augment import (
    BoxAugmentation,
    augment_boxes,
    boxes_in,
    mirrored,
    seen_through,
)

pytestmark = pytest.mark.run

STILL = BoxAugmentation(mirror=False, crops=0, canvases=0, light=0)
OUTPUT = Resolution(height_px=48, width_px=64)
DARK, BRIGHT = 20, 240
SEEDS = st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))
Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def only(**how: Any) -> BoxAugmentation:
    return dataclasses.replace(STILL, **how)


def augmented(pixels: Any, boxes: Any, classes: Any, how: BoxAugmentation, seed: tuple[int, int] = (0, 0)) -> Found:
    corners, kinds = np.array(boxes, np.float32), np.array(classes, np.int64)
    found = augment_boxes(pixels, corners, kinds, how, seed=np.array(seed, np.int64), output=OUTPUT)
    images, kept, kept_classes = (np.asarray(each) for each in found)
    assert (images.dtype, images.shape) == (np.float32, (len(pixels), *OUTPUT.sides_px, 3))
    assert (kept.dtype, kept.shape) == (np.float32, corners.shape)
    assert (kept_classes.dtype, kept_classes.shape) == (np.int64, kinds.shape)
    return images, kept, kept_classes


def noise(count: int, sides: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, *sides, 3), dtype=np.uint8)


# Boxes whose edges are those of pixels of an image of 60 x 80, some of them none.
edges = st.integers(0, 48).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 8, 60)))
corners = st.tuples(edges, edges).map(lambda both: (both[0][0], both[1][0], both[0][1], both[1][1]))


@st.composite
def photos(draw: st.DrawFn, count: int = 3) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Dark photos of 60 x 80 px with one bright box each, among rows that are none."""
    pixels = np.full((count, 60, 80, 3), DARK, np.uint8)
    boxes, classes = np.zeros((count, 3, 4), np.float32), np.full((count, 3), -1, np.int64)
    for number in range(count):
        top, left, bottom, right = draw(corners)
        pixels[number, top:bottom, left:right] = BRIGHT
        row = draw(st.integers(0, 2))
        boxes[number, row] = top / 60, left / 80, bottom / 60, right / 80
        classes[number, row] = draw(st.integers(0, 5))
    return pixels, boxes, classes


# ---- by hand


def test_without_changes_the_image_is_what_the_network_is_fed() -> None:
    pixels = noise(2, (60, 100))
    images, boxes, classes = augmented(pixels, [[[0.1, 0.2, 0.3, 0.4]]] * 2, [[3], [-1]], STILL)
    fed = Preprocess(resolution=OUTPUT, crop_fraction=1.0, is_stretched=True)
    for image, given_pixels in zip(images, pixels, strict=True):
        assert np.abs(image - fed.pixels(Image.fromarray(given_pixels))).max() <= 1  # rounded twice
    assert np.allclose(boxes[0], [[0.1, 0.2, 0.3, 0.4]])
    assert boxes[1].tolist() == [[0, 0, 0, 0]]
    assert classes.tolist() == [[3], [-1]]


def test_a_window_of_whole_pixels_gives_these_pixels() -> None:
    pixels = noise(1, (96, 128))
    windows = np.array([[24 / 96, 32 / 128, 72 / 96, 96 / 128]], np.float32)
    seen = np.asarray(seen_through(pixels, windows, OUTPUT))
    assert np.allclose(seen[0], pixels[0, 24:72, 32:96], atol=1e-3)


def test_what_lies_beyond_the_image_is_grey() -> None:
    pixels = noise(1, (24, 32))
    windows = np.array([[-0.5, 0, 1.5, 2]], np.float32)
    seen = np.asarray(seen_through(pixels, windows, OUTPUT))[0]
    assert np.allclose(seen[12:36, :32], pixels[0], atol=1e-3)
    assert (seen[:12] == 127.5).all()
    assert (seen[36:] == 127.5).all()
    assert (seen[:, 32:] == 127.5).all()


def test_boxes_in_a_window_by_hand() -> None:
    rows = [[0.25, 0.25, 0.75, 0.75], [0.4, 0.4, 0.8, 0.5], [0.3, 0.5, 0.5, 0.9], [0, 0.1, 0.4, 0.2], [0, 0, 0, 0]]
    boxes, classes = np.array([rows], np.float32), np.array([[0, 1, 2, 3, -1]])
    windows = np.array([[0.25, 0.0, 0.75, 0.5]], np.float32)
    found, kept = (np.asarray(each) for each in boxes_in(boxes, classes, windows))
    assert np.allclose(found, [[[0, 0.5, 1, 1], [0.3, 0.8, 1, 1], *[[0, 0, 0, 0]] * 3]])
    assert kept.tolist() == [[0, 1, -1, -1, -1]]  # the centres (0.4, 0.7) and (0.2, 0.15) are outside


def test_a_mirrored_box_by_hand() -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.5], [0, 0, 0, 0]]] * 2, np.float32)
    classes = np.array([[0, -1]] * 2)
    pixels = noise(2).astype(np.float32)
    images, found = (np.asarray(each) for each in mirrored(pixels, boxes, classes, np.array([True, False])))
    assert np.allclose(found, [[[0.1, 0.5, 0.3, 0.8], [0, 0, 0, 0]], [[0.1, 0.2, 0.3, 0.5], [0, 0, 0, 0]]])
    assert np.array_equal(images, [pixels[0, :, ::-1], pixels[1]])


# ---- laws


@given(photos(), st.lists(st.booleans(), min_size=3, max_size=3))
@settings(max_examples=20)
def test_mirroring_twice_is_the_identity(drawn: Any, turned: list[bool]) -> None:
    pixels, boxes, classes = drawn
    images = pixels.astype(np.float32)
    again = mirrored(*mirrored(images, boxes, classes, np.array(turned)), classes, np.array(turned))
    assert np.array_equal(again[0], images)
    assert np.allclose(again[1], boxes, atol=1e-6)


@given(
    photos(),
    SEEDS,
    st.sampled_from([only(mirror=True), only(crops=1), only(canvases=1), only(crops=0.4, canvases=0.4)]),
)
@settings(max_examples=40)
def test_what_is_painted_in_a_box_is_found_in_it(drawn: Any, seed: tuple[int, int], how: BoxAugmentation) -> None:
    images, boxes, classes = augmented(*drawn, how, seed)
    for image, rows, kinds, given_kinds in zip(images, boxes, classes, drawn[2], strict=True):
        (row,) = np.flatnonzero(kinds >= 0)  # the only box of an image is never lost
        assert kinds[row] == given_kinds.max()
        top, left, bottom, right = rows[row] * np.tile(OUTPUT.sides_px, 2)
        is_bright = image[..., 0] > (BRIGHT + 127.5) / 2
        middle = is_bright[int(np.ceil(top + 1)) : int(bottom - 1), int(np.ceil(left + 1)) : int(right - 1)]
        assert middle.all()
        around = is_bright.copy()
        around[max(0, int(top - 1)) : int(np.ceil(bottom + 1)), max(0, int(left - 1)) : int(np.ceil(right + 1))] = False
        assert not around.any()


@given(photos(), SEEDS)
@settings(max_examples=20)
def test_boxes_stay_inside_and_values_within_those_of_a_byte(drawn: Any, seed: tuple[int, int]) -> None:
    pixels, boxes, classes = drawn
    pixels = np.random.default_rng(seed).integers(0, 256, pixels.shape, dtype=np.uint8)
    images, kept, kinds = augmented(pixels, boxes, classes, BoxAugmentation(crops=0.5, canvases=0.5, light=0.9), seed)
    assert images.min() >= 0
    assert images.max() <= 255
    is_box = kinds >= 0
    assert ((kept >= 0) & (kept <= 1)).all()
    assert (kept[..., 2:] > kept[..., :2])[is_box].all()
    assert (kept[~is_box] == 0).all()


@given(SEEDS, st.integers(1, 6))
@settings(max_examples=20)
def test_a_crop_keeps_a_box_of_every_image_with_boxes(seed: tuple[int, int], rows: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 1, (8, rows, 2))
    boxes = np.concatenate([low, low + (1 - low) * rng.uniform(1e-3, 1, low.shape)], axis=-1)
    classes = rng.integers(-1, 3, (8, rows))
    boxes[classes < 0] = 0
    how = only(crops=1, least_area=0.01, most_stretch=4.0)
    _, _, kept = augmented(noise(8), boxes, classes, how, seed)
    assert ((kept >= 0).any(axis=1) == (classes >= 0).any(axis=1)).all()
    assert ((kept == classes) | (kept == -1)).all()


def test_an_image_without_boxes_is_cropped_anywhere() -> None:
    pixels = noise(4)
    images, boxes, classes = augmented(pixels, np.zeros((4, 0, 4)), np.zeros((4, 0)), only(crops=1))
    assert boxes.size == classes.size == 0
    assert (images != augmented(pixels, np.zeros((4, 0, 4)), np.zeros((4, 0)), STILL)[0]).any(axis=(1, 2, 3)).all()


# ---- how much, and by which seed


def windows_of(how: BoxAugmentation) -> NDArray[np.float32]:
    """What 512 images are seen through: that of a box that fills all of a canvas, or a ramp that a crop shows."""
    count = 512
    ramp = np.zeros((1, 64, 64, 3), np.uint8)
    ramp[0, ..., 0], ramp[0, ..., 1] = np.arange(64)[:, None] * 4 + 2, np.arange(64)[None] * 4 + 2
    images, _, _ = augmented(np.repeat(ramp, count, axis=0), np.zeros((count, 1, 4)), np.full((count, 1), -1), how)
    rows, columns = images[:, :, 32, 0] / 256, images[:, 24, :, 1] / 256
    steps = (rows[:, 30] - rows[:, 18]) / 12 * 48, (columns[:, 40] - columns[:, 24]) / 16 * 64
    return np.stack(steps, axis=1)


def test_crops_are_as_large_as_is_said() -> None:
    sides = windows_of(only(crops=1, least_area=0.5, most_stretch=1.25))
    areas, stretches = sides.prod(axis=1), sides[:, 0] / sides[:, 1]
    assert 0.48 < areas.min() < 0.55
    assert 0.95 < areas.max() < 1.02
    assert 0.78 < stretches.min() < 0.85
    assert 1.17 < stretches.max() < 1.28


def test_shares_are_those_of_all_images() -> None:
    sides = windows_of(only(crops=0.25, least_area=0.3, canvases=0.5, widest_canvas=1.5))
    is_whole = np.abs(sides - 1).max(axis=1) < 1e-3
    assert 0.18 < is_whole.mean() < 0.32
    assert 0.4 < (~is_whole & (sides.min(axis=1) > 1)).mean() < 0.6


def test_half_of_all_images_are_mirrored() -> None:
    pixels = np.repeat(noise(1), 256, axis=0)
    images, _, _ = augmented(pixels, np.zeros((256, 1, 4)), np.full((256, 1), -1), only(mirror=True))
    is_mirrored = (images == pixels[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((images == pixels).all(axis=(1, 2, 3)) != is_mirrored).all()
    assert 0.4 < is_mirrored.mean() < 0.6


def test_the_seed_decides_everything_and_each_image_is_changed_on_its_own() -> None:
    tf.config.experimental.enable_op_determinism()
    pixels, boxes, classes = np.repeat(noise(1), 6, axis=0), [[[0.2, 0.2, 0.8, 0.8]]] * 6, [[1]] * 6

    def stream(first: int) -> list[Any]:
        def change(number: Any) -> Any:
            seed = [tf.constant(first, tf.int64), number]
            return augment_boxes(
                pixels, tf.constant(boxes), tf.constant(classes), BoxAugmentation(), seed=seed, output=OUTPUT
            )

        found = tf.data.Dataset.range(2).map(change, num_parallel_calls=2, deterministic=True)
        return [tuple(each.numpy() for each in batch) for batch in found]

    once, again, other = stream(3), stream(3), stream(19)
    for first, second in zip(once, again, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))
    assert not np.array_equal(once[0][0], other[0][0])
    assert not np.array_equal(once[0][0], once[1][0])
    assert len({image.tobytes() for image in once[0][0]}) == 6


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"crops": 0.8}, "shares of crops and canvases must be 0 to 1 in all, got 0.8, 0.25"),
        ({"crops": float("nan")}, "shares of crops and canvases must be 0 to 1 in all, got nan, 0.25"),
        ({"canvases": -0.1}, "shares of crops and canvases must be 0 to 1 in all, got 0.5, -0.1"),
        ({"least_area": 0.0}, "the least area of a crop must be in (0, 1], got 0"),
        (
            {"most_stretch": 0.5},
            "the stretch of a crop must be from 1 to 4, and the width of a canvas from 1 to 16, got 0.5",
        ),
        ({"widest_canvas": float("inf")}, "got 1.33333 and inf"),
        ({"light": 1.0}, "the change of light must be in [0, 1), got 1"),
    ],
)
def test_settings_outside_their_range_are_refused(how: dict[str, float], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        BoxAugmentation(**how)
    assert said in str(caught.value)
