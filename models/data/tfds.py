"""Open a data set of TensorFlow Datasets, and read its images one at a time from its files.

`NAME`, `NAME/CONFIG` and `NAME/CONFIG:VERSION` are names of the library, which looks for prepared data
in its usual place (`TFDS_DATA_DIR`). Records must be of the array_record format: others cannot be read in any order.
"""

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.decode import decode_image
from mbexport.models.data.imageset import DataSet, ImageSet, split_by_seed
from mbexport.models.data.listing import identity_of
from mbexport.models.data.prefixes import TFDS_PREFIX

_NAME: Final = re.compile(r"[A-Za-z_]\w*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?", re.ASCII)
_FORMAT: Final = "array_record"
_TRAIN: Final = "train"
_HELD_OUT: Final = ("validation", "test")  # the first that is there: some test splits have no labels
_RECORDS_AT_ONCE: Final = 64
_PART_BYTES: Final = 1 << 20


def open_tfds(name: str) -> DataSet:
    """Open the data set that the library calls `name`.

    Raises `DataError` if the library is missing, does not know the name or has not prepared the data set, and if the
    data set has no image with a class label, or no training split.
    """
    modules = ("tensorflow_datasets", "array_record")
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise DataError(f"{TFDS_PREFIX}{name} needs tensorflow-datasets: pip install 'mbexport[tfds]'")
    if not _NAME.fullmatch(name):
        raise DataError(f"--data must be tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.2.3, got tfds:{name}")
    with _one_line(name):
        builder = _prepared(name)
    features = _checked_features(builder, name)
    held_out = next((split for split in _HELD_OUT if split in builder.info.splits), None)

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        train = _open_split(builder, _TRAIN)
        return split_by_seed(train, seed) if held_out is None else (train, _open_split(builder, held_out))

    return DataSet(
        name=f"{TFDS_PREFIX}{builder.info.full_name}",
        class_names=tuple(features["label"].names),
        fingerprint=_fingerprint(builder, [_TRAIN, *([held_out] if held_out else [])]),
        is_photos=features["image"].shape[-1] != 1,
        split=split,
        evaluation=lambda seed: split(seed)[1] if held_out is None else _open_split(builder, held_out),
        contents=lambda: _contents(builder, [_TRAIN, *([held_out] if held_out else [])], name),
    )


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Raise whatever the library raises, often over many lines, as a `DataError` of one line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # it raises errors of every kind, AssertionError among them
        first = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(f"{TFDS_PREFIX}{name} cannot be used: {first}") from None


def _prepared(name: str) -> Any:
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    if not builder.is_prepared():  # not downloaded here: some data sets have hundreds of gigabytes
        command = f"tfds build {name} --file_format={_FORMAT}"
        raise DataError(f"{TFDS_PREFIX}{name} is not prepared in {builder.data_dir}: run {command}")
    found = sorted(file_format.value for file_format in builder.info.available_file_formats())
    if _FORMAT not in found:
        raise DataError(
            f"{TFDS_PREFIX}{name} must be prepared in the {_FORMAT} format, got {', '.join(found)} "
            f"in {builder.data_dir}"
        )
    return builder


def _checked_features(builder: Any, name: str) -> Any:
    """The features. Raises `DataError` unless there are an `image`, a class `label` and a training split."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    if not all(key in features and isinstance(features[key], kind) for key, kind in kinds.items()):
        got = ", ".join(sorted(f"{key} ({type(feature).__name__})" for key, feature in features.items()))
        raise DataError(f"{TFDS_PREFIX}{name} must have an `image` (Image) and a `label` (ClassLabel), got {got}")
    if _TRAIN not in builder.info.splits:
        raise DataError(f"{TFDS_PREFIX}{name} must have a split `{_TRAIN}`, got {', '.join(builder.info.splits)}")
    return features


def _open_split(builder: Any, split: str) -> ImageSet:
    import tensorflow_datasets as tfds

    name = f"{builder.info.full_name}/{split}"
    with _one_line(name):
        source = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
        labels = _labels(source)
    if not len(labels):
        raise DataError(f"{TFDS_PREFIX}{name} must hold at least one image, got none")
    if labels.min() < 0:
        raise DataError(f"{TFDS_PREFIX}{name} must have a label for each image, got none for {np.sum(labels < 0)}")

    def read(index: int) -> Image.Image:
        with _one_line(f"{name}/{index}"):
            encoded = source[index]["image"]
        return decode_image(bytes(encoded), name=f"{TFDS_PREFIX}{name}/{index}")

    names = tuple(f"{split}/{index}" for index in range(len(labels)))
    return ImageSet(labels=labels, names=names, read=read, source=_fingerprint(builder, [split]))


def _labels(source: Any) -> NDArray[np.int64]:
    """The labels, int64 of shape (n,). Reads every record once, a few at a time, and decodes no image."""
    labels = np.empty(len(source), np.int64)
    for start in range(0, len(labels), _RECORDS_AT_ONCE):
        indices = range(start, min(start + _RECORDS_AT_ONCE, len(labels)))
        labels[indices.start : indices.stop] = [record["label"] for record in source.__getitems__(indices)]
    return labels


def _fingerprint(builder: Any, splits: list[str]) -> str:
    """The hash of the full name, the checksums of the downloads, and what tells each record file from another."""
    digest = hashlib.sha256(builder.info.full_name.encode())
    for url, file in sorted((builder.url_infos or {}).items()):  # None without a list of them
        digest.update(f"{url}\0{file.checksum}\n".encode())
    for split in splits:
        info = builder.info.splits[split]
        digest.update(f"{split}\0{info.shard_lengths}\0{list(builder.info.features['label'].names)}\n".encode())
        for path in info.filepaths:
            digest.update(f"{path.name}\0{_identity(path)}\n".encode())
    return digest.hexdigest()


def _identity(path: Any) -> str:
    """The size and the times of a record file, and its inode, where it lies on a disk and not in a bucket."""
    try:
        state = os.stat(path)  # noqa: PTH116  # the library's own paths know less
    except OSError:
        remote = path.stat()
        return f"{remote.length}\0{remote.mtime}"
    return identity_of(state)


def _contents(builder: Any, splits: list[str], name: str) -> str:
    """The hash of the full name, the classes, and the content of each record file in the order of the records."""
    digest = hashlib.sha256(f"{builder.info.full_name}\0{list(builder.info.features['label'].names)}\n".encode())
    for split in splits:
        for path in builder.info.splits[split].filepaths:
            digest.update(f"{split}\0{path.name}\0".encode())
            with _one_line(name), path.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    digest.update(part)
    return digest.hexdigest()
