"""Data sets of TensorFlow Datasets: read from a tiny one, written here; and what is refused."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mbexport.errors import DataError
from mbexport.models.data.open import DataSet, open_data
from mbexport.models.data.readable import find_unreadable

COUNTS = {"train": 20, "validation": 6, "test": 5}


def colour(split: str, index: int) -> tuple[int, int, int]:
    """What the image with this key shows."""
    return (list(COUNTS).index(split), index, 9)


@pytest.fixture(scope="module")
def tfds() -> Any:
    """The library, which is an optional one."""
    pytest.importorskip("array_record", reason="array-record is not installed: pip install 'mbexport[tfds]'")
    return pytest.importorskip("tensorflow_datasets", reason="tensorflow-datasets is not installed")


@pytest.fixture(scope="module")
def folder(tfds: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with five prepared data sets."""
    root = tmp_path_factory.mktemp("tfds")
    image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
    label = tfds.features.ClassLabel(names=["no", "yes"])
    prepare(tfds, root, "tiny_whole", {"image": image, "label": label}, splits=["train", "validation", "test"])
    prepare(tfds, root, "tiny_train", {"image": image, "label": label}, splits=["train"])
    prepare(tfds, root, "tiny_text", {"image": tfds.features.Text(), "label": label}, splits=["train"])
    prepare(tfds, root, "tiny_test", {"image": image, "label": label}, splits=["test"])
    prepare(tfds, root, "tiny_old", {"image": image, "label": label}, splits=["train"], file_format="tfrecord")
    return root


def prepare(
    tfds: Any,
    root: Path,
    called: str,
    features: dict[str, Any],
    *,
    splits: list[str],
    file_format: str = "array_record",
) -> None:
    """Writes a data set of that name, as the library does."""

    # Not registered: it is found by its files alone, as a data set that somebody else prepared.
    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            name = called
            VERSION = tfds.core.Version("1.2.0")

            def _info(self) -> Any:
                return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

            def _split_generators(self, downloads: Any) -> Any:
                return {split: self._generate_examples(split) for split in splits}

            def _generate_examples(self, split: str) -> Any:
                for index in range(COUNTS[split]):
                    image = np.full((6, 8, 3), colour(split, index), np.uint8)
                    encodable = image if isinstance(features["image"], tfds.features.Image) else "text"
                    yield index, {"image": encodable, "label": index % 2}

    Builder(data_dir=root, file_format=file_format).download_and_prepare()


@pytest.fixture
def opened(folder: Path, tfds: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens a data set out of that folder; the library reads TFDS_DATA_DIR only when it is imported."""
    whole = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, **options: whole(name, data_dir=folder, **options))
    return lambda name: open_data(f"tfds:{name}")


def shown(data: DataSet) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The label and the colour of each image, by name."""
    return {
        name: (int(part.labels[i]), part.read(i).getpixel((3, 3)))
        for part in data.split(0)
        for i, name in enumerate(part.names)
    }


@pytest.mark.parametrize("name", ["tiny_whole", "tiny_whole:1.2.0"])
def test_train_and_validation_are_the_two_sets(opened, name: str) -> None:
    data = opened(name)
    train, held_out = data.split(3)
    assert (data.name, data.class_names, data.is_photos) == ("tfds:tiny_whole/1.2.0", ("no", "yes"), True)
    assert (len(train), len(held_out)) == (20, 6)
    assert data.evaluation(0).names == held_out.names == tuple(f"validation/{i}" for i in range(6))
    assert train.labels.dtype == np.int64
    # The library shuffles records by their key, so a colour says which one it is.
    found = shown(data)
    for split, count in (("train", 20), ("validation", 6)):
        colours = sorted(pixel for name, (_, pixel) in found.items() if name.startswith(split))
        assert colours == [colour(split, i) for i in range(count)]
    assert all(label == pixel[1] % 2 for label, pixel in found.values())


def test_a_training_split_alone_is_split_by_the_seed(opened) -> None:
    data = opened("tiny_train")
    train, test = data.split(0)
    assert sorted(train.names + test.names) == sorted(f"train/{i}" for i in range(20))
    assert np.bincount(test.labels).tolist() == [2, 2]  # a quarter of ten, rounded to even
    assert data.split(0)[1].names == data.evaluation(0).names == test.names
    assert len({data.split(seed)[1].names for seed in range(5)}) > 1
    assert all(label == pixel[1] % 2 for label, pixel in shown(data).values())


def test_all_of_it_can_be_read_and_sizes_are_upright(opened) -> None:
    train, _ = opened("tiny_whole").split(0)
    assert find_unreadable(train) == {}
    assert (train.read(0).mode, train.read(0).size) == ("RGB", (8, 6))


def test_the_fingerprint_follows_name_and_files(opened, folder: Path) -> None:
    before = opened("tiny_train").fingerprint
    assert opened("tiny_train").fingerprint == before
    assert opened("tiny_whole").fingerprint != before
    (file,) = (folder / "tiny_train").rglob("*array_record-*")
    os.utime(file, (1, 1))
    assert opened("tiny_train").fingerprint != before


def test_the_contents_are_the_same_at_any_time_and_follow_the_records(opened, folder: Path) -> None:
    before = opened("tiny_train").contents()
    assert opened("tiny_whole").contents() != before
    (file,) = (folder / "tiny_train").rglob("*array_record-*")
    os.utime(file, (2, 2))
    assert opened("tiny_train").contents() == before
    data, content = opened("tiny_train"), file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = data.contents()
    file.write_bytes(content)
    assert changed != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny_text", "must have an `image` (Image) and a `label` (ClassLabel), got image (Text), label (ClassLabel)"),
        ("tiny_test", "must have a split `train`, got test"),
        ("tiny_old", "must be prepared in the array_record format, got tfrecord in "),
        ("mnist", "tfds:mnist is not prepared in "),
        ("mnist", ": run tfds build mnist --file_format=array_record"),
        ("no_such_data", "cannot be used: Dataset no_such_data not found."),
        ("tiny_whole:9.9.9", "tfds:tiny_whole:9.9.9 cannot be used: "),
        ("../tiny_whole", "must be tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.2.3, got tfds:../tiny_whole"),
        ("", "must be tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.2.3, got tfds:"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(opened, name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["tensorflow_datasets", "array_record"])
def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = importlib.util.find_spec
    stand_in = find("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else stand_in)
    with pytest.raises(DataError) as caught:
        open_data("tfds:mnist")
    assert str(caught.value) == "tfds:mnist needs tensorflow-datasets: pip install 'mbexport[tfds]'"


def test_a_tensorflow_data_set_takes_no_classes_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--classes goes with a folder of images or shards, got --data tfds:mnist"):
        open_data("tfds:mnist", classes_file=tmp_path / "classes.txt")
