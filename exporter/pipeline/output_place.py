"""Refuse an output folder among the images of a run: the next run would read it as images, or as a class."""

import os
from collections.abc import Iterable
from pathlib import Path

from mbexport.errors import OutputError
from mbexport.models.data.open import DataSet


def require_apart(out: Path, data: DataSet | None, unlabelled: Iterable[Path | None] = ()) -> None:
    """Raise `OutputError` if `out` is, or lies in, a folder of class folders, or is one of the `unlabelled` folders."""
    place = _real(out)
    for folder in data.class_roots if data else ():
        if place.is_relative_to(_real(folder)):
            raise OutputError(
                f"output folder {out} must not lie in {folder}, whose sub-folders are classes: give another --out"
            )
    for images in filter(None, unlabelled):
        if place == _real(images):
            raise OutputError(f"output folder {out} must not be a folder of images that is read: give another --out")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve() raises for links in a circle
