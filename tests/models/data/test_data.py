"""Digits and folders of images: which images, in which order, split how, and what is refused."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.open import (
    DataSet,
    ImageSet,
    find_unreadable,
    iter_pixels,
    open_data,
    open_unlabelled,
    stratified_split,
)
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

PREPARED = Preprocess(resolution=Resolution.square(32), crop_fraction=1.0)
LABELS = st.lists(st.integers(2, 30), min_size=1, max_size=6).flatmap(
    lambda counts: st.permutations([label * 3 for label, count in enumerate(counts) for _ in range(count)])
)


def folder(root: Path, **counts: int) -> Path:
    """A folder with `counts` tiny images a class, each of a colour of its own."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (4, 4), (number, index, 0)).save(root / name / f"{index:02d}.png")
    return root


def opened(root: Path, classes_file: Path | None = None) -> DataSet:
    return open_data(str(root), classes_file=classes_file)


def numbered(count: int, *, before: Callable[[int], None] = lambda _: None) -> ImageSet:
    """Images that show their index; `before` is called with it when one is read."""

    def read(index: int) -> Image.Image:
        before(index)
        return Image.new("RGB", (3, 3), (index % 256, index // 256, 0))

    names = tuple(map(str, range(count)))
    return ImageSet(labels=np.arange(count, dtype=np.int64), names=names, read=read)


# ---- digits


def test_digits_are_1797_images_of_ten_classes_split_three_to_one() -> None:
    data = open_data("digits")
    train, test = data.split(0)
    assert data.class_names == tuple("0123456789")
    assert not data.is_photos
    assert len(train) + len(test) == 1797
    assert len(test) == pytest.approx(1797 / 4, abs=5)
    assert set(train.names).isdisjoint(test.names)
    for label in range(10):
        held_out, kept = (int((part.labels == label).sum()) for part in (test, train))
        assert held_out == pytest.approx((held_out + kept) / 4, abs=1)


def test_the_first_digit_by_hand() -> None:
    train, test = open_data("digits").split(0)
    part = train if "digit-0000" in train.names else test
    index = part.names.index("digit-0000")
    image = part.read(index)
    assert part.labels[index] == 0
    assert (image.mode, image.size) == ("RGB", (8, 8))
    # The file's first line begins 0 0 5 13 9 1 0 0, in sixteenths.
    assert np.asarray(image)[0, :, 1].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]


def test_the_seed_decides_the_split_of_digits() -> None:
    data = open_data("digits")
    assert data.split(1)[1].names == data.split(1)[1].names == data.evaluation(1).names
    assert data.split(1)[1].names != data.split(2)[1].names


def test_the_fingerprint_of_digits_is_stable() -> None:
    assert open_data("digits").fingerprint == open_data("digits").fingerprint
    assert len(open_data("digits").fingerprint) == 64


def test_opening_digits_does_not_import_sklearn() -> None:
    code = (
        "import sys\n"
        "from mbexport.models.data.open import open_data\n"
        "assert len(open_data('digits').fingerprint) == 64\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'sklearn']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_digits_take_no_classes_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--classes goes with a folder of images or shards, got --data digits"):
        open_data("digits", classes_file=tmp_path / "classes.txt")


# ---- splitting


@given(LABELS, st.floats(min_value=0.01, max_value=0.99), st.integers(0, 2**32))
def test_a_split_loses_nothing_and_keeps_each_class_share(labels: list[int], fraction: float, seed: int) -> None:
    array = np.array(labels, np.int64)
    train, test = stratified_split(array, test_fraction=fraction, seed=seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert list(train) == sorted(train)
    assert list(test) == sorted(test)
    for label in set(labels):
        size, held_out = labels.count(label), int((array[test] == label).sum())
        assert 1 <= held_out <= size - 1
        assert abs(held_out - size * fraction) <= 1


@given(LABELS, st.integers(0, 2**32))
def test_the_same_seed_splits_alike(labels: list[int], seed: int) -> None:
    array = np.array(labels, np.int64)
    one, other = (stratified_split(array, test_fraction=0.25, seed=seed) for _ in range(2))
    assert [part.tolist() for part in one] == [part.tolist() for part in other]


@given(st.data(), st.integers(1, 20))
def test_a_subset_is_the_chosen_images_in_the_chosen_order(data: st.DataObject, count: int) -> None:
    chosen = data.draw(st.lists(st.integers(0, count - 1)))
    part = numbered(count).subset(np.array(chosen, np.int64))
    again = part.subset(np.arange(len(chosen), dtype=np.int64)[::-1])
    assert part.labels.tolist() == chosen
    assert part.names == tuple(map(str, chosen))
    assert [again.read(i).getpixel((0, 0))[0] for i in range(len(again))] == chosen[::-1]


@given(st.integers(1, 20), st.sets(st.integers(0, 19)))
def test_without_drops_the_chosen_images_and_keeps_the_order(count: int, dropped: set[int]) -> None:
    dropped &= set(range(count))
    part = numbered(count).without(dropped)
    kept = [i for i in range(count) if i not in dropped]
    assert part.labels.tolist() == kept
    assert part.names == tuple(map(str, kept))
    assert [part.read(i).getpixel((0, 0))[0] for i in range(len(part))] == kept


# ---- reading


@given(st.integers(1, 40), st.integers(1, 50))
def test_pixels_come_in_order_in_batches(count: int, batch: int) -> None:
    images = numbered(count)
    found = list(iter_pixels(images, PREPARED, batch=batch))
    sequential = np.stack([PREPARED.pixels(images.read(i)) for i in range(count)])
    assert [len(part) for part in found] == [min(batch, count - i) for i in range(0, count, batch)]
    np.testing.assert_array_equal(np.concatenate(found), sequential)


def test_pixels_keep_their_order_when_the_first_image_is_the_slowest() -> None:
    slow_start = numbered(8, before=lambda i: time.sleep(0.004 * (8 - i)))
    (found,) = iter_pixels(slow_start, PREPARED, batch=8)
    assert found[:, 0, 0, 0].tolist() == list(range(8))


def test_pixels_are_read_as_they_are_asked_for() -> None:
    read: list[int] = []
    stream = iter_pixels(numbered(100, before=read.append), PREPARED, batch=4)
    assert read == []
    next(stream)
    assert sorted(read) == [0, 1, 2, 3]
    stream.close()  # type: ignore[attr-defined]
    assert len(read) == 4


def test_an_unreadable_image_stops_the_stream(tmp_path: Path) -> None:
    images = opened(folder(tmp_path, a=2, b=2)).evaluation(0)
    (tmp_path / "b" / "00.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b.00\.png"):
        list(iter_pixels(images, PREPARED))


# ---- unlabelled folders


def test_a_flat_folder_is_read_by_name(tmp_path: Path) -> None:
    images = open_unlabelled(folder(tmp_path, flat=3) / "flat").images
    assert images.names == ("flat/00.png", "flat/01.png", "flat/02.png")
    assert len(set(images.labels.tolist())) == 1


def test_a_nested_folder_is_read_one_level_deep(tmp_path: Path) -> None:
    folder(tmp_path, b=2, a=1, **{".cache": 1})
    folder(tmp_path / "a", deeper=1)
    Image.new("RGB", (4, 4)).save(tmp_path / "z.png")
    images = open_unlabelled(tmp_path).images
    assert images.names == (f"{tmp_path.name}/z.png", "a/00.png", "b/00.png", "b/01.png")
    _, root, *b = images.labels[[0, 0, 2, 3]].tolist()
    assert b[0] == b[1] != root
    assert len(set(images.labels.tolist())) == 3


def test_the_fingerprint_of_an_unlabelled_folder_follows_its_files(tmp_path: Path) -> None:
    folder(tmp_path, a=2)
    before = open_unlabelled(tmp_path).fingerprint
    assert open_unlabelled(tmp_path).fingerprint == before
    os.utime(tmp_path / "a" / "00.png", ns=(1, 1))
    assert open_unlabelled(tmp_path).fingerprint != before


def test_an_unlabelled_folder_needs_an_image(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="holds no image"):
        open_unlabelled(tmp_path)
    with pytest.raises(DataError, match="must be a folder of images"):
        open_unlabelled(tmp_path / "missing")


# ---- real data


def test_flowers_open(shared_data: Path) -> None:
    data = opened(shared_data / "flowers")
    train, test = data.split(0)
    assert data.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert data.is_photos
    assert (len(train), len(test), len(data.evaluation(0))) == (900, 250, 250)
    assert set(test.labels.tolist()) == set(range(5))
    assert find_unreadable(test.subset(np.arange(0, 250, 25, dtype=np.int64))) == {}
