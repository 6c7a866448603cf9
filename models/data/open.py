"""Turns the name of a data set into labelled sets of images: the one door through which other packages open data."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.data.folder import open_folder, open_unlabelled, unlabelled_contents
from mbexport.models.data.imageset import TEST_FRACTION, Data, ImageSet, iter_pixels, split_by_seed, stratified_split
from mbexport.models.data.readable import find_unreadable
from mbexport.models.data.tfds import TFDS_PREFIX, open_tfds

DIGITS: Final = "digits"


def open_digits() -> Data:
    """The 1797 digits, 8 x 8 px each. Raises `DataError` where scikit-learn is not installed."""
    spec = importlib.util.find_spec("sklearn")  # finds the file without importing the library
    if spec is None or spec.origin is None:
        raise DataError("digits need scikit-learn, which is not installed")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"

    fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        return split_by_seed(_load(), seed)

    return Data(
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
    )


__all__ = [
    "DIGITS",
    "TEST_FRACTION",
    "Data",
    "ImageSet",
    "find_unreadable",
    "iter_pixels",
    "open_data",
    "open_unlabelled",
    "stratified_split",
    "unlabelled_contents",
]


def open_data(source: str, *, classes_file: Path | None = None) -> Data:
    """The data set that `--data SOURCE` names. Raises `DataError` if it cannot be used."""
    named = source if source == DIGITS or source.startswith(TFDS_PREFIX) else None
    if named is None:
        return open_folder(Path(source), classes_file)
    if classes_file is not None:
        raise DataError(f"a classes file goes with a folder of images, got one for {named}")
    return open_digits() if named == DIGITS else open_tfds(named.removeprefix(TFDS_PREFIX))
