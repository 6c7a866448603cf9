"""Folders of labelled images: class order, classes file, given or made split, fingerprint, and what is refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, open_data


def folder(root: Path, **counts: int) -> Path:
    """A folder with `counts` tiny images a class, each of a colour of its own."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.new("RGB", (4, 4), (number, index, 0)).save(root / name / f"{index:02d}.png")
    return root


def opened(root: Path, classes_file: Path | None = None) -> DataSet:
    return open_data(str(root), classes_file=classes_file)


def with_classes(root: Path, text: str) -> DataSet:
    file = root.parent / "classes.txt"
    file.write_text(text, "utf-8")
    return opened(root, file)


# ---- order and labels


def test_classes_and_files_are_ordered_by_name(tmp_path: Path) -> None:
    data = opened(folder(tmp_path, roses=2, Zinnia=1, daisy=2))
    images = data.evaluation(0)
    assert data.class_names == ("Zinnia", "daisy", "roses")
    assert images.names == ("Zinnia/00.png", "daisy/00.png", "daisy/01.png", "roses/00.png", "roses/01.png")
    assert images.labels.tolist() == [0, 1, 1, 2, 2]
    assert images.labels.dtype == np.int64
    assert images.read(4).getpixel((0, 0)) == (0, 1, 0)  # roses, written first, the second of them
    assert data.name == tmp_path.name
    assert data.is_photos


def test_a_classes_file_gives_order_and_labels(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", n01=1, n02=2)
    data = with_classes(root, "n02 great white shark \n\nn03   hen\nn01\n")
    assert data.class_names == ("great white shark", "hen", "n01")
    assert data.evaluation(0).names == ("n02/00.png", "n02/01.png", "n01/00.png")
    assert data.evaluation(0).labels.tolist() == [0, 0, 2]


def test_a_classes_file_that_windows_wrote_is_understood(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", a=1, b=1)
    assert with_classes(root, "\ufeffa apple\r\nb pear\r\n").class_names == ("apple", "pear")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "must name at least 2 different folders, got 1"),
        ("", "must name at least 2 different folders, got 0"),
        ("a\nb\na again\n", "line 3 names a twice"),
        ("a\nc\n", "has a sub-folder that the classes file does not name: b"),
    ],
    ids=["one line", "empty", "twice the same", "unknown folder"],
)
def test_a_classes_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_classes(folder(tmp_path / "data", a=2, b=2), text)


def test_a_classes_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", a=2, b=2)
    (tmp_path / "latin.txt").write_bytes(b"a \xe9t\xe9\nb hiver\n")
    for file in (tmp_path / "latin.txt", tmp_path / "missing.txt", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            opened(root, file)


def test_hidden_and_other_files_are_no_images(tmp_path: Path) -> None:
    folder(tmp_path, a=1, b=1, **{".git": 1})
    for stray in ("a/.hidden.png", "LICENSE.jpg"):
        shutil.copy(tmp_path / "b" / "00.png", tmp_path / stray)
    for stray in ("a/notes.txt", "a/Thumbs.db"):
        (tmp_path / stray).write_text("no image")
    data = opened(tmp_path)
    assert data.class_names == ("a", "b")
    assert data.evaluation(0).names == ("a/00.png", "b/00.png")


def test_a_suffix_in_capitals_is_an_image(tmp_path: Path) -> None:
    (folder(tmp_path, a=1, b=1) / "a" / "00.png").rename(tmp_path / "a" / "IMG.PNG")
    images = opened(tmp_path).evaluation(0)
    assert images.names == ("a/IMG.PNG", "b/00.png")
    assert images.read(0).size == (4, 4)


# ---- split


def test_train_and_val_are_the_two_sets(tmp_path: Path) -> None:
    folder(tmp_path / "train", a=3, b=2)
    folder(tmp_path / "val", a=1, c=2)
    data = opened(tmp_path)
    train, test = data.split(7)
    assert data.class_names == ("a", "b", "c")
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert test.labels.tolist() == [0, 2, 2]
    assert data.evaluation(0).names == test.names
    assert data.has_validation


def test_a_folder_that_is_not_split_is_split_by_the_seed(tmp_path: Path) -> None:
    data = opened(folder(tmp_path, a=8, b=4))
    train, test = data.split(0)
    assert sorted(train.names + test.names) == list(data.evaluation(0).names)
    assert test.labels.tolist() == [0, 0, 1]
    assert data.split(0)[1].names == test.names
    assert len({data.split(seed)[1].names for seed in range(5)}) > 1
    for part in (train, test):
        found = [part.read(i).getpixel((0, 0))[:2] for i in range(len(part))]
        expected = [("ab".index(name[0]), int(name[2:4])) for name in part.names]
        assert found == expected


def test_a_split_made_here_is_no_validation_set(tmp_path: Path) -> None:
    folder(tmp_path, a=4, b=4)
    assert not opened(tmp_path).has_validation


def test_a_class_with_one_image_cannot_be_split(tmp_path: Path) -> None:
    data = opened(folder(tmp_path, many=3, lone=1))
    assert len(data.evaluation(0)) == 4
    with pytest.raises(DataError, match="class lone must have at least 2 images"):
        data.split(0)


# ---- refused


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match="at least 2 sub-folders, one a class, got no sub-folder"):
        opened(tmp_path)


def test_a_folder_with_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least 2 sub-folders, one a class, got one class only \(a\)"):
        opened(folder(tmp_path, a=3))


def test_a_part_whose_images_are_all_of_one_class_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "train", a=3, b=3)
    folder(tmp_path / "val", a=3)
    with pytest.raises(DataError, match="val must hold images of at least 2 classes, got 1"):
        opened(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class a must hold an image that can be read, got nothing in"):
        opened(folder(tmp_path, a=0, b=0))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(DataError, match="--data must be digits, tfds:NAME, wds:DIR, tfrecord:DIR or a folder"):
            opened(path)


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path, a=2, b=2) / "a" / "lost.png").symlink_to(tmp_path / "missing.png")
    with pytest.raises(DataError, match=r"lost\.png"):
        opened(tmp_path).evaluation(0).read(2)


def test_a_file_name_that_is_no_utf8_is_no_crash(tmp_path: Path) -> None:
    folder(tmp_path, a=2, b=2)
    try:
        os.rename(tmp_path / "a" / "00.png", os.fsencode(tmp_path / "a") + b"/\xff.png")  # noqa: PTH104  # bytes
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert len(opened(tmp_path).evaluation(0)) == 4


# ---- fingerprint


def test_the_fingerprint_stays_without_a_change(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", a=2, b=2)
    before = opened(root).fingerprint
    opened(root).evaluation(0).read(0)
    (root / "a" / "notes.txt").write_text("no image")
    (root / "a" / ".hidden.png").write_bytes(b"")
    assert opened(root).fingerprint == before
    shutil.copytree(root, tmp_path / "elsewhere")  # keeps the times, and yet they are other files
    assert opened(tmp_path / "elsewhere").contents() == opened(root).contents()


def grow(root: Path) -> None:
    shutil.copy2(root / "a" / "00.png", root / "a" / "new.png")


def rename(root: Path) -> None:
    (root / "a" / "00.png").rename(root / "a" / "000.png")


def touch(root: Path) -> None:
    os.utime(root / "a" / "00.png", ns=(1, 1))


def enlarge(root: Path) -> None:
    state = (root / "a" / "00.png").stat()
    with (root / "a" / "00.png").open("ab") as file:
        file.write(b"\0")
    os.utime(root / "a" / "00.png", ns=(state.st_atime_ns, state.st_mtime_ns))


def remove(root: Path) -> None:
    (root / "b" / "01.png").unlink()


def move_to_another_class(root: Path) -> None:
    (root / "b" / "01.png").rename(root / "a" / "zz.png")


def rename_class(root: Path) -> None:
    (root / "a").rename(root / "aa")


@pytest.mark.parametrize("change", [grow, rename, touch, enlarge, remove, move_to_another_class, rename_class])
def test_every_change_changes_the_fingerprint(tmp_path: Path, change: object) -> None:
    folder(tmp_path, a=2, b=2)
    before = opened(tmp_path).fingerprint
    change(tmp_path)  # type: ignore[operator]
    assert opened(tmp_path).fingerprint != before


def test_labels_and_their_order_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", a=2, b=2)
    texts = ("a\nb\n", "b\na\n", "a apple\nb\n", "a\nb\nc\n")
    assert len({with_classes(root, text).fingerprint for text in texts}) == len(texts)


def test_moving_an_image_from_train_to_val_changes_the_fingerprint(tmp_path: Path) -> None:
    # The last of train becomes the first of val: the files in a row stay the same.
    folder(tmp_path / "train", a=1, b=2)
    folder(tmp_path / "val", b=0, c=1)
    shutil.copy(tmp_path / "train" / "b" / "01.png", tmp_path / "val" / "b" / "02.png")
    before = opened(tmp_path).fingerprint
    (tmp_path / "train" / "b" / "01.png").rename(tmp_path / "val" / "b" / "01.png")
    assert opened(tmp_path).fingerprint != before


# ---- a whole run


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(2, 9), min_size=2, max_size=5))
def test_any_folder_is_split_completely(tmp_path: Path, counts: list[int]) -> None:
    root = tmp_path / "data"
    shutil.rmtree(root, ignore_errors=True)
    train, test = opened(folder(root, **{f"class{i}": count for i, count in enumerate(counts)})).split(3)
    assert np.bincount(np.concatenate([train.labels, test.labels])).tolist() == counts
    assert set(train.names).isdisjoint(test.names)
    assert set(test.labels.tolist()) == set(train.labels.tolist()) == set(range(len(counts)))
