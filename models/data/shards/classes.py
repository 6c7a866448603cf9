"""Names of the classes of shards, and a check that labels are numbers of classes."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.data.classes_file import read_labels
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown

# The last one is what TensorFlow Datasets writes beside the records of a feature `label`.
CLASSES_FILES: Final = ("classes.txt", "labels.txt", "label.labels.txt")
_SLIM: Final = re.compile(r"(\d+):(.*)")  # TF-Slim, datasets/dataset_utils.py, write_label_file: "0:daisy"
_MIN_CLASSES: Final = 2
_FROM_ONE: Final = (
    "labels seem to start at 1: write them anew from 0, or give --classes FILE with a first line for a class 0 without "
    "images"
)


def class_names(
    folder: DataFolder, classes_file: Path | None, labels: NDArray[np.int64], texts: Mapping[int, tuple[bytes, ...]]
) -> tuple[str, ...]:
    """The names of the classes that `labels` number, in their order.

    They are the lines of `classes_file`, else of a file of `CLASSES_FILES` in the folder; such a file may name classes
    without images. Else they are the `texts` beside the images, if each class has one, else the numbers. Raises
    `DataError` for a label that is no number of a class, for a class without an image that no file names, and for fewer
    than two.
    """
    root, present = folder.root, np.unique(labels)
    lowest, highest = int(present[0]), int(present[-1])
    if lowest < 0:
        raise DataError(f"{root} must have a label from 0 on for each image, got {lowest} for {np.sum(labels < 0)}")
    file = classes_file or _own_file(folder)
    if file is not None:
        names = _without_numbers(read_labels(file))
        if highest >= len(names):
            hint = f": {_FROM_ONE}" if (lowest, highest) == (1, len(names)) else ""
            legal = f"labels from 0 to {len(names) - 1}, as {file} names {len(names)} classes"
            raise DataError(f"{root} must have {legal}, got {lowest} to {highest}{hint}")
        return names
    _require_every_class(root, present)
    return _from_texts(highest + 1, texts) or tuple(map(str, range(highest + 1)))


def _own_file(folder: DataFolder) -> Path | None:
    """The file of classes in the data folder. Raises `DataError` for a link out of it."""
    file = next(filter(os.path.lexists, (folder.root / name for name in CLASSES_FILES)), None)
    if file is not None:
        folder.admit(file)
    return file


def _require_every_class(root: Path, present: NDArray[np.int64]) -> None:
    """Raise `DataError` for a number below the highest label that no image has, and for one class only."""
    if int(present[-1]) + 1 != len(present):
        missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
        hint = _FROM_ONE if int(present[0]) == 1 else "give --classes FILE to name a class without images"
        got = f"labels from {present[0]} to {present[-1]} and none {missing}"
        raise DataError(f"{root} must hold an image of each class from 0 on, got {got}: {hint}")
    if len(present) < _MIN_CLASSES:
        raise DataError(f"{root} must hold images of at least 2 classes, got the label {present[0]} only")


def _from_texts(count: int, texts: Mapping[int, tuple[bytes, ...]]) -> tuple[str, ...]:
    """The one text of each class; none unless each has one. Raises `DataError` where a class has two."""
    for label, (first, *others) in sorted(texts.items()):
        if others:
            raise DataError(
                f"label {label} must have one name, got {_text(first)} and {_text(others[0])}: give --classes FILE"
            )
    names = tuple(_text(texts[label][0]) for label in range(count) if label in texts)
    return names if len(names) == count and all(name.isprintable() for name in names) else ()


def _text(name: bytes) -> str:
    return shown(name.decode("utf-8", "surrogateescape"))


def _without_numbers(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of a file of lines such as `0:daisy`, numbered from 0, without their numbers."""
    matched = [_SLIM.fullmatch(label) for label in labels]
    if all(found and found[1] == str(place) for place, found in enumerate(matched)):
        return tuple(found[2].strip() for found in matched if found)
    return labels
