"""Turns scikit-learn's handwritten digits, which come with it, into a labelled data set."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.imageset import Data, ImageSet, split_by_seed

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
