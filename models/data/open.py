"""Open a data set by its name: the built-in digits, a folder of images or of shards, or one of TensorFlow Datasets.

Other packages import data sets and image sets from here.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.folder import open_folder, open_unlabelled
from mbexport.models.data.imageset import (
    TEST_FRACTION,
    DataSet,
    ImageSet,
    Unlabelled,
    iter_pixels,
    split_by_seed,
    stratified_split,
)
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.prefixes import TFDS_PREFIX, TFRECORD_PREFIX, WEBDATASET_PREFIX
from mbexport.models.data.readable import find_unreadable
from mbexport.models.data.shards.dataset import open_shards
from mbexport.models.data.shards.found import ShardFormat
from mbexport.models.data.shards.tfrecord import TFRECORD
from mbexport.models.data.shards.webdataset import WEBDATASET
from mbexport.models.data.tfds import open_tfds

__all__ = [
    "DIGITS",
    "TEST_FRACTION",
    "DataSet",
    "ImageSet",
    "LeftOut",
    "Unlabelled",
    "find_unreadable",
    "iter_pixels",
    "open_data",
    "open_unlabelled",
    "stratified_split",
]

DIGITS: Final = "digits"


Opener = Callable[[str, Path | None, bool], DataSet]  # what follows the prefix, classes file, follow links


def open_data(name: str, *, classes_file: Path | None = None, follow_links: bool = False) -> DataSet:
    """The data set that `--data NAME` means: `digits`, what a prefix of `OPENERS` says, or the path of a folder.

    A classes file goes with files of the user's; so does `follow_links`, with which files and folders may be links to
    anywhere, and which changes nothing for other data. Raises `DataError` if the data cannot be used.
    """
    if name == DIGITS:
        _require_no_classes(name, classes_file)
        return open_digits()
    prefix = next((prefix for prefix in OPENERS if name.startswith(prefix)), "")
    if prefix:
        return OPENERS[prefix](name.removeprefix(prefix), classes_file, follow_links)
    return open_folder(Path(name), classes_file, follow_links=follow_links)


def _open_named(name: str, classes_file: Path | None, _follow_links: bool) -> DataSet:
    _require_no_classes(f"{TFDS_PREFIX}{name}", classes_file)
    return open_tfds(name)


def _shards_of(form: ShardFormat) -> Opener:
    return lambda folder, classes, links: open_shards(form, Path(folder), classes, follow_links=links)


# A row a kind of data that a prefix tells from the path of a folder.
OPENERS: Final[Mapping[str, Opener]] = MappingProxyType(
    {
        TFDS_PREFIX: _open_named,
        WEBDATASET_PREFIX: _shards_of(WEBDATASET),
        TFRECORD_PREFIX: _shards_of(TFRECORD),
    }
)


def _require_no_classes(name: str, classes_file: Path | None) -> None:
    if classes_file is not None:
        raise DataError(f"--classes goes with a folder of images or shards, got --data {name}")


def open_digits() -> DataSet:
    """The 1797 handwritten digits of scikit-learn, 8 x 8 px each. Raises `DataError` if it is not installed."""
    spec = importlib.util.find_spec("sklearn")  # finds the file without the seconds that the library takes to load
    if spec is None or spec.origin is None:
        raise DataError("--data digits needs scikit-learn: pip install scikit-learn")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        return split_by_seed(_load(), seed)

    return DataSet(
        name=DIGITS,
        class_names=tuple("0123456789"),
        fingerprint=fingerprint,
        is_photos=False,
        split=split,
        evaluation=lambda seed: split(seed)[1],
        contents=lambda: fingerprint,
    )


def _load() -> ImageSet:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Published as counts 0..16 of 4x4 blocks (UCI "Optical Recognition of Handwritten Digits").
    grey = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    return ImageSet(
        labels=bunch.target.astype(np.int64),
        names=tuple(f"digit-{i:04d}" for i in range(len(grey))),
        read=lambda i: Image.fromarray(grey[i]).convert("RGB"),
        source=DIGITS,
    )
