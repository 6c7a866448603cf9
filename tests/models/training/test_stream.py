"""The batches of an epoch: each image once with its label, the same for a seed and epoch, decoded ahead."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.imageset import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import PHOTO_AUGMENTATION
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import Targets, training_batches

PREPARED = Preprocess(resolution=Resolution.square(16), crop_fraction=1.0)
Batches = list[tuple[NDArray[np.float32], NDArray[np.int64]]]


@pytest.fixture(autouse=True, scope="module")
def deterministic() -> None:
    """Operations are deterministic, as in every training."""
    tf.config.experimental.enable_op_determinism()


def numbered(count: int, *, before: Callable[[int], None] = lambda _: None) -> ImageSet:
    """Noise whose first pixel shows the index; labels are 3 times the index."""

    def read(index: int) -> Image.Image:
        before(index)
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        pixels[0, 0] = (index % 256, index // 256, 0)
        return Image.fromarray(pixels)

    return ImageSet(labels=3 * np.arange(count, dtype=np.int64), names=tuple(map(str, range(count))), read=read)


def batches(images: ImageSet, **changes: Any) -> Batches:
    options = {"batch": 4, "seed": 0, "augmentation": None, "store": None, **changes}
    epoch = options.pop("epoch", 0)
    options.setdefault("epochs", range(epoch, epoch + 1))
    prepared = options.pop("preprocess", PREPARED)
    return list(training_batches(images, prepared, **options).as_numpy_iterator())


def same(one: Batches, other: Batches) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in pairs)


# ---- what is in a batch


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(1, 16), st.integers(0, 2**31 - 1), st.integers(0, 1000))
def test_whole_batches_pair_each_image_with_its_label_at_most_once(
    count: int, batch: int, seed: int, epoch: int
) -> None:
    images = numbered(count)
    found = batches(images, batch=batch, seed=seed, epoch=epoch)
    rows = min(batch, count)
    assert len(found) == count // rows
    seen = []
    for pixels, labels in found:
        assert (pixels.dtype, pixels.shape) == (np.float32, (rows, 16, 16, 3))
        assert (labels.dtype, labels.shape) == (np.int64, (rows,))
        for image, label in zip(pixels, labels.tolist(), strict=True):
            np.testing.assert_array_equal(image, PREPARED.pixels(images.read(label // 3)))
            seen.append(label)
    assert len(set(seen)) == len(seen) == rows * (count // rows)


def test_the_order_by_hand() -> None:
    order = np.random.default_rng([5, 2]).permutation(8)
    found = batches(numbered(8), seed=5, epoch=2)
    assert [labels.tolist() for _, labels in found] == [(3 * order[:4]).tolist(), (3 * order[4:]).tolist()]


def test_over_the_epochs_no_image_is_left_out() -> None:
    seen = {label for _, labels in batches(numbered(7), epochs=range(20)) for label in labels.tolist()}
    assert seen == {3 * i for i in range(7)}  # each epoch drops three of them


def test_other_targets_take_the_place_of_labels() -> None:
    targets = Targets(of=lambda indices: np.stack([indices, -2.5 * indices], 1), dtype=np.float64, shape=(2,))
    found = batches(numbered(9), targets=targets, epochs=range(2))
    labelled = batches(numbered(9), epochs=range(2))
    assert len(found) == len(labelled) == 4
    for (pixels, pairs), (same_pixels, labels) in zip(found, labelled, strict=True):
        np.testing.assert_array_equal(pixels, same_pixels)
        assert pairs.dtype == np.float64
        np.testing.assert_array_equal(pairs, np.stack([labels / 3, -2.5 * labels / 3], 1))


# ---- repeatable


@pytest.mark.parametrize("augmentation", [None, PHOTO_AUGMENTATION])
def test_a_resumed_training_sees_the_same_batches_as_an_undisturbed_one(tmp_path: Path, augmentation: Any) -> None:
    images = numbered(13)
    whole = batches(images, epochs=range(4), augmentation=augmentation)
    assert len(whole) == 4 * 3
    assert same(batches(images, epochs=range(2, 4), augmentation=augmentation), whole[6:])
    store = PixelStore(tmp_path, count=13, shape=PREPARED.shape)
    for epoch in (3, 1):
        again = batches(images, epoch=epoch, augmentation=augmentation, store=store)
        assert same(again, whole[3 * epoch : 3 * epoch + 3])


def test_every_seed_epoch_and_step_moves_images_in_another_way() -> None:
    one = ImageSet(labels=np.zeros(2, np.int64), names=("a", "b"), read=numbered(1).read).subset(np.array([0, 0]))
    found = [
        batches(one, batch=1, seed=seed, epoch=epoch, augmentation=PHOTO_AUGMENTATION)[step][0].tobytes()
        for seed in (0, 1)
        for epoch in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(found)) == 8


def test_every_seed_and_epoch_has_an_order_of_its_own() -> None:
    images = numbered(12)
    orders = {
        tuple(label for _, labels in batches(images, seed=seed, epoch=epoch) for label in labels.tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_steps_are_a_part_of_their_epochs() -> None:
    images = numbered(13)  # three batches an epoch
    whole = batches(images, epochs=range(3), augmentation=PHOTO_AUGMENTATION)
    assert same(batches(images, epochs=range(3), steps=range(2, 7), augmentation=PHOTO_AUGMENTATION), whole[2:7])


def test_a_stream_that_is_read_again_or_twice_at_once_stays_the_same() -> None:
    images = numbered(24)
    stream = training_batches(
        images, PREPARED, batch=4, seed=0, epochs=range(2), augmentation=PHOTO_AUGMENTATION, store=None
    )
    whole = list(stream.as_numpy_iterator())
    for taken in (5, 2):
        assert same(list(stream.take(taken).as_numpy_iterator()), whole[:taken])
    pairs = list(zip(stream.as_numpy_iterator(), stream.as_numpy_iterator(), strict=True))
    assert same([one for one, _ in pairs], whole)
    assert same([other for _, other in pairs], whole)


# ---- the store


def test_with_a_store_each_image_is_decoded_once(tmp_path: Path) -> None:
    read: list[int] = []
    images = numbered(12, before=read.append)
    store = PixelStore(tmp_path, count=12, shape=PREPARED.shape)
    found = batches(images, epochs=range(3), store=store)
    assert sorted(read) == list(range(12))
    assert same(found, batches(images, epochs=range(3)))
    assert len(read) == 12 + 36


def test_a_store_of_other_images_or_another_size_is_refused(tmp_path: Path) -> None:
    for count, shape in ((11, PREPARED.shape), (12, (8, 8, 3))):
        with pytest.raises(ValueError, match="the store must be of 12 images"):
            batches(numbered(12), store=PixelStore(tmp_path, count=count, shape=shape))


# ---- how it is made


def test_images_of_a_batch_are_decoded_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=30)  # broken unless two readers are inside at once
    assert len(batches(numbered(8, before=lambda _: meeting.wait() and None))) == 2


def test_the_next_batches_are_made_while_one_is_used() -> None:
    read: list[int] = []
    stream = iter(
        training_batches(
            numbered(40, before=read.append), PREPARED, batch=4, seed=0, epochs=range(1), augmentation=None, store=None
        )
    )
    next(stream)
    deadline = time.monotonic() + 30
    while len(read) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(read) == 12  # two batches ahead, not all of them


def test_no_threads_are_made_for_a_batch_or_an_epoch() -> None:
    readers: set[int] = set()
    batches(numbered(40, before=lambda _: readers.add(threading.get_ident())), epochs=range(5))
    assert len(readers) <= 16


def test_an_image_that_cannot_be_read_stops_the_stream() -> None:
    def refuse(index: int) -> None:
        if index == 5:
            raise DataError("photo 5 is truncated")

    with pytest.raises(tf.errors.OpError, match="photo 5 is truncated"):
        batches(numbered(8, before=refuse))


class Grey:
    """A Preprocess of one channel."""

    shape = (16, 16, 1)

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image.convert("L"))[..., None]


def test_one_channel_is_moved_like_three(tmp_path: Path) -> None:
    images, grey = numbered(8), Grey()
    plain = batches(images, preprocess=grey)
    assert plain[0][0].shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(plain[0][0][0], grey.pixels(images.read(int(plain[0][1][0]) // 3)))
    store = PixelStore(tmp_path, count=8, shape=grey.shape)
    options = {"preprocess": grey, "augmentation": PHOTO_AUGMENTATION, "epochs": range(2)}
    assert same(batches(images, **options, store=store), batches(images, **options))
