"""Move the Java wrapper that comes with mbexport into an app's package, sources and compiled classes alike.

The classes are committed beside the sources (docs/decisions/0022), so that nobody needs a compiler to make a bundle.
"""

import io
import struct
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from mbexport.errors import StageError

PACKAGE: Final = "org.mbexport.wrapper"  # the package of the sources in java/, and of the classes compiled from them
TEST: Final = "GoldenTest.java"
_FOLDER: Final = "java"
_CLASSES: Final = "classes.jar"
_MAGIC: Final = 0xCAFEBABE
_UTF8: Final = 1
_WIDE: Final = (5, 6)  # long and double, which take two numbers of the pool
# The Java Virtual Machine Specification, table 4.4-A: the tag of a constant -> how many bytes follow it.
_SIZES: Final = {
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    15: 3,
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys(_WIDE, 8),
}


def relocate_class(content: bytes, *, source: str, target: str) -> bytes:
    """Move a class file from the package `source` to the package `target`, both spelt with dots.

    Every text of its constant pool is rewritten: names, descriptors, signatures and string constants. All else refers
    to the pool by number and stays. No other name in the class may contain `source`. Raises `StageError` for anything
    but a class file of Java 8.
    """
    magic, _, _, count = struct.unpack_from(">IHHH", content)
    if magic != _MAGIC:
        raise StageError(f"a class file must start with CAFEBABE, got {magic:08X}")
    constants = list(_constants(content, start=10, count=count))
    end = 10 + sum(map(len, constants))
    moved = (_moved_text(each, source, target) if each[0] == _UTF8 else each for each in constants)
    return content[:10] + b"".join(moved) + content[end:]


def relocate_source(content: bytes, *, source: str, target: str) -> bytes:
    """Move a Java source from the package `source` to the package `target`, both spelt with dots."""
    return _replaced(content, source, target)


def _constants(content: bytes, *, start: int, count: int) -> Iterator[bytes]:
    """The constants of the pool that starts at byte `start`, each with its tag; their numbers are below `count`."""
    number = 1
    while number < count:
        tag = content[start]
        size = 2 + struct.unpack_from(">H", content, start + 1)[0] if tag == _UTF8 else _SIZES.get(tag)
        if size is None:
            raise StageError(f"a constant of a class file must have a tag of Java 8, got {tag}")
        yield content[start : start + 1 + size]
        start += 1 + size
        number += 2 if tag in _WIDE else 1


def _moved_text(constant: bytes, source: str, target: str) -> bytes:
    """A moved text constant: tag, length in bytes, modified UTF-8, which spells a package's name in plain ASCII."""
    text = _replaced(constant[3:], source, target)
    return struct.pack(">BH", _UTF8, len(text)) + text


def _replaced(text: bytes, source: str, target: str) -> bytes:
    """`text` with each `source` replaced, in both spellings of a package: a.b and a/b."""
    for separator in (".", "/"):
        old, new = (name.replace(".", separator).encode() for name in (source, target))
        text = text.replace(old, new)
    return text


def sources(package: str) -> dict[str, bytes]:
    """The wrapper's Java sources and its test in that package, by file name."""
    return {
        name: relocate_source(content, source=PACKAGE, target=package)
        for name, content in _package_data()
        if name.endswith(".java")
    }


def classes(package: str) -> dict[str, bytes]:
    """The wrapper's class files in that package, by their paths in a jar."""
    content = dict(_package_data())[_CLASSES]
    old, new = (name.replace(".", "/") for name in (PACKAGE, package))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            name.replace(old, new, 1): relocate_class(archive.read(name), source=PACKAGE, target=package)
            for name in archive.namelist()
        }


def _package_data() -> Iterator[tuple[str, bytes]]:
    folder = files("mbexport.bundles.android") / _FOLDER
    return ((each.name, each.read_bytes()) for each in sorted(folder.iterdir(), key=lambda each: each.name))
