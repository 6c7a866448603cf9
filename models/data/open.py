"""Open a data set by its name: the built-in digits, a folder of images, or a data set of TensorFlow Datasets.

Other packages import data sets and image sets from here.
"""

import hashlib
import importlib.util
from pathlib import Path
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
from mbexport.models.data.readable import find_unreadable
from mbexport.models.data.tfds import TFDS_PREFIX, open_tfds

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


def open_data(name: str, *, classes_file: Path | None = None, follow_links: bool = False) -> DataSet:
    """The data set that `--data NAME` means: `digits`, `tfds:NAME`, or the path of a folder.

    A classes file goes with a folder; so does `follow_links`, with which its files and folders may be links to
    anywhere, and which changes nothing for other data. Raises `DataError` if the data cannot be used.
    """
    if name != DIGITS and not name.startswith(TFDS_PREFIX):
        return open_folder(Path(name), classes_file, follow_links=follow_links)
    if classes_file is not None:
        raise DataError(f"--classes goes with a folder of images, got --data {name}")
    return open_digits() if name == DIGITS else open_tfds(name.removeprefix(TFDS_PREFIX))


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
