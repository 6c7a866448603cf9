"""Turns the Java wrapper that comes with mbexport into the same wrapper in an app's package."""

import io
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from mbexport.bundles.relocation import relocated_class, relocated_source

PACKAGE: Final = "org.mbexport.wrapper"  # what the sources in java/ are written in, and the classes compiled in
TEST: Final = "GoldenTest.java"
_FOLDER: Final = "java"
_CLASSES: Final = "classes.jar"


def sources(package: str) -> dict[str, bytes]:
    """The wrapper's Java sources, and its test, by file name."""
    return {
        name: relocated_source(content, source=PACKAGE, target=package)
        for name, content in _package_data()
        if name.endswith(".java")
    }


def classes(package: str) -> dict[str, bytes]:
    """The wrapper's class files by their paths in a jar.

    They were compiled from the sources (decision 0022), so that nobody needs a compiler to make a bundle.
    """
    content = dict(_package_data())[_CLASSES]
    old, new = (name.replace(".", "/") for name in (PACKAGE, package))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            name.replace(old, new, 1): relocated_class(archive.read(name), source=PACKAGE, target=package)
            for name in archive.namelist()
        }


def _package_data() -> Iterator[tuple[str, bytes]]:
    folder = files("mbexport.bundles") / _FOLDER
    return ((each.name, each.read_bytes()) for each in sorted(folder.iterdir(), key=lambda each: each.name))
