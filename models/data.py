"""Turns the name of a data set into labelled sets of images: the one door through which other packages open data."""

from pathlib import Path

from mbexport.errors import DataError
from mbexport.models.digits import DIGITS, open_digits
from mbexport.models.folder import open_folder, open_unlabelled, unlabelled_contents
from mbexport.models.imageset import TEST_FRACTION, Data, ImageSet, iter_pixels, stratified_split
from mbexport.models.readable import find_unreadable
from mbexport.models.tfds import TFDS_PREFIX, open_tfds

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
