"""Parts of split data are known by their names, in any letter case, and are never classes."""

import os
from pathlib import Path

import pytest
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, open_data
from mbexport.models.data.splits import Part, part_of

CLASSES = ("a", "b")


def parts(root: Path, *names: str, classes: tuple[str, ...] = CLASSES) -> DataSet:
    """Data with one image for each class in each part."""
    for number, part in enumerate(names):
        for shade, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            Image.new("RGB", (4, 4), (number, shade, 0)).save(root / part / name / f"{part}.png")
    return open_data(str(root))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", Part.TRAIN),
        ("Training", Part.TRAIN),
        ("training_set", Part.TRAIN),
        ("VAL", Part.VALIDATION),
        ("valid", Part.VALIDATION),
        ("Validation", Part.VALIDATION),
        ("val-images", Part.VALIDATION),
        ("test", Part.TEST),
        ("TestSet", Part.TEST),
        ("evaluation", Part.TEST),
        ("trains", None),
        ("tests", None),
        ("validity", None),
        ("", None),
    ],
)
def test_names_by_hand(name: str, part: Part | None) -> None:
    assert part_of(name) is part


@pytest.mark.parametrize(
    ("names", "evaluated"),
    [
        (("train", "validation"), "validation"),
        (("train", "valid"), "valid"),
        (("Train", "Val"), "Val"),
        (("TRAINING", "TESTING"), "TESTING"),
        (("training_set", "test_set"), "test_set"),
        (("train", "test"), "test"),
        (("train", "dev", "test"), "test"),
    ],
)
def test_split_data_is_read_as_its_parts(tmp_path: Path, names: tuple[str, ...], evaluated: str) -> None:
    data = parts(tmp_path, *names)
    assert data.class_names == CLASSES
    train, test = data.split(0)
    assert train.names == tuple(f"{name}/{names[0]}.png" for name in CLASSES)
    assert test.names == data.evaluation(0).names == tuple(f"{name}/{evaluated}.png" for name in CLASSES)
    assert not data.left_out


def test_validation_images_choose_and_test_images_do_not(tmp_path: Path) -> None:
    two = parts(tmp_path / "two", "train", "val")
    assert (two.has_validation, two.validation) == (True, None)  # the test images serve
    three = parts(tmp_path / "three", "train", "val", "test")
    assert three.has_validation
    assert three.validation is not None
    assert three.validation().names == ("a/val.png", "b/val.png")
    assert not parts(tmp_path / "tested", "train", "test").has_validation


def test_data_without_a_training_part_can_be_verified_on_alone(tmp_path: Path) -> None:
    data = parts(tmp_path, "val", "test")
    assert data.evaluation(0).names == ("a/test.png", "b/test.png")
    with pytest.raises(DataError, match="must hold a part to learn from or to calibrate on, called train/"):
        data.split(0)


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one folder for each part of the data, got val/ and validation/"):
        parts(tmp_path, "train", "val", "validation")


def test_part_that_is_alone_is_named_as_what_may_be_meant(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got one class only \(train\): is --data .*train meant\?"):
        parts(tmp_path, "train")


@pytest.mark.parametrize("names", [("bus", "train", "tram"), ("evaluation", "exam", "test")])
def test_class_may_be_called_as_a_part(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    assert open_data(str(tmp_path)).class_names == names


def test_parts_without_class_folders_are_refused(tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    with pytest.raises(DataError, match=r"train must hold at least 2 sub-folders, one a class, got no sub-folder"):
        open_data(str(tmp_path))


def test_what_lies_beside_the_parts_is_no_class_and_known_as_left_out(tmp_path: Path) -> None:
    parts(tmp_path, "train", "val", "more")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no photo")
    (tmp_path / "elsewhere").symlink_to(tmp_path.parent)  # is not followed, since it is not read
    (tmp_path / "README.md").write_text("")
    found = open_data(str(tmp_path))
    assert found.class_names == CLASSES
    assert (dict(found.left_out.photos), dict(found.left_out.others)) == ({"folder": 1}, {".md": 1, "folder": 2})
    assert [each.name for each in found.left_out.listed] == ["more", "README.md", "elsewhere", "notes"]


def test_hash_tells_parts_apart_and_is_that_of_earlier_versions_for_train_and_val(tmp_path: Path) -> None:
    found = {}
    for names in (("train", "val"), ("train", "test"), ("val", "test"), ("Training", "VALIDATION")):
        root = tmp_path / "-".join(names)
        parts(root, *names)
        for part, shared in zip(names, ("0", "1"), strict=True):
            for name in CLASSES:
                (root / part / name / f"{part}.png").rename(root / part / name / f"{shared}.png")
        found[names] = open_data(str(root)).contents()
    assert found["train", "val"] == found["Training", "VALIDATION"]
    assert len(set(found.values())) == 3


@pytest.mark.skipif(os.name == "nt", reason="letter case does not count there")
def test_one_part_in_two_letter_cases_is_refused(tmp_path: Path) -> None:
    for name in ("Train", "val"):
        (tmp_path / name).mkdir()
    try:
        (tmp_path / "train").mkdir()
    except FileExistsError:
        pytest.skip("letter case does not count on this file system")
    with pytest.raises(DataError, match="got Train/ and train/"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("names", [("train", "val"), ("train",)])
def test_test_images_that_nobody_labelled_are_left_out(tmp_path: Path, names: tuple[str, ...]) -> None:
    # As data of competitions has them.
    (tmp_path / "test").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "test" / "0.png")
    for part in names:
        for shade in (1, 2):
            for name in CLASSES:
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (4, 4), (shade, 0, 0)).save(tmp_path / part / name / f"{shade}.png")
    data = open_data(str(tmp_path))
    assert data.class_names == CLASSES
    assert [len(images) for images in data.split(0)] == ([4, 4] if len(names) > 1 else [2, 2])
    assert (data.left_out.photos, data.left_out.listed[0].name) == ({"folder": 1}, "test")
    assert data.class_roots == tuple(tmp_path / name for name in names)


def test_folder_around_the_classes_is_named_as_what_is_not_meant(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"got one class only \(photos\): is --data .*photos meant\?"):
        open_data(str(tmp_path))
