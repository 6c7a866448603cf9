"""Turns the Java wrapper that comes with mbexport into the same wrapper in an app's package."""

import io
import struct
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from mbexport.errors import StageError

_MAGIC: Final = 0xCAFEBABE
_UTF8: Final = 1
_WIDE: Final = (5, 6)  # long and double: they take two numbers of the pool
# The Java Virtual Machine Specification, table 4.4-A: tag of a constant -> bytes behind the tag.
_SIZES: Final = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}


def relocated_class(content: bytes, *, source: str, target: str) -> bytes:
    """A class file of package `source` as the same class of package `target`, both spelt with dots.

    Every text of its constant pool is rewritten: names, descriptors, signatures and string constants. All else refers
    to the pool by number and stays. `source` has to be within no other name. Raises `StageError` for what is no
    class file.
    """
    magic, _, _, count = struct.unpack_from(">IHHH", content)
    if magic != _MAGIC:
        raise StageError(f"a class file must start with CAFEBABE, got {magic:08X}")
    constants = list(_constants(content, start=10, count=count))
    end = 10 + sum(map(len, constants))
    moved = (_rewritten(each, source, target) if each[0] == _UTF8 else each for each in constants)
    return content[:10] + b"".join(moved) + content[end:]


def relocated_source(content: bytes, *, source: str, target: str) -> bytes:
    """A Java source of package `source` as the same source of package `target`."""
    return _replaced(content, source, target)


def _constants(content: bytes, *, start: int, count: int) -> Iterator[bytes]:
    """The constants of a pool that starts at `start` and whose numbers are below `count`, each with its tag."""
    number = 1
    while number < count:
        tag = content[start]
        size = 2 + struct.unpack_from(">H", content, start + 1)[0] if tag == _UTF8 else _SIZES.get(tag)
        if size is None:
            raise StageError(f"a constant of a class file must have a tag of Java 8, got {tag}")
        yield content[start : start + 1 + size]
        start += 1 + size
        number += 2 if tag in _WIDE else 1


def _rewritten(constant: bytes, source: str, target: str) -> bytes:
    """A text constant: tag, length in bytes, modified UTF-8, in which a package's name is plain ASCII."""
    text = _replaced(constant[3:], source, target)
    return struct.pack(">BH", _UTF8, len(text)) + text


def _replaced(text: bytes, source: str, target: str) -> bytes:
    """The text with the package in both of its spellings, a.b and a/b."""
    for separator in (".", "/"):
        old, new = (name.replace(".", separator).encode() for name in (source, target))
        text = text.replace(old, new)
    return text


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
    folder = files("mbexport.bundles.android") / _FOLDER
    return ((each.name, each.read_bytes()) for each in sorted(folder.iterdir(), key=lambda each: each.name))
