"""Refuse an output folder that runtimes cannot open files in, or that the next run would read as images of its own."""

import os
from collections.abc import Iterable
from pathlib import Path

from mbexport.errors import OutputError
from mbexport.models.data.names import shown
from mbexport.models.data.open import DataSet


def require_apart(out: Path, data: DataSet | None, unlabelled: Iterable[Path | None] = ()) -> None:
    """Raise `OutputError` if `out` is, or lies in, a folder of class folders, or is one of the `unlabelled` folders.

    Also for a path that is no UTF-8: onnxruntime opens no file there, which would be found out after hours.
    """
    if shown(str(out)) != str(out):
        raise OutputError(f"output folder {shown(str(out))} must have a name of UTF-8")
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
