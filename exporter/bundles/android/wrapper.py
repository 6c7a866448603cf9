"""Move the Java wrapper that comes with mbexport into an app's package, sources and compiled classes alike.

What apps call differs by the task of a model, and what computes it by the runtime, a folder each; how images are
resized and fed is one source, `java/`, for all of them.
The classes are committed beside the sources (docs/decisions/0022), so that nobody needs a compiler to make a bundle.
"""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from mbexport.bundles.android.runtimes import Runtime
from mbexport.errors import StageError
from mbexport.escaping.templates import source_templates
from mbexport.models.task import Task

PACKAGE: Final = "org.mbexport.wrapper"  # the package of the sources, and of the classes compiled from them
TEST: Final = "GoldenTest.java"
FOLDERS: Final[Mapping[Task, str]] = MappingProxyType({Task.CLASSIFY: "classifier", Task.DETECT: "detector"})
_HERE: Final = "mbexport.bundles.android"
_SHARED: Final = "java"
_PLAIN: Final = ".java"
_TEMPLATE: Final = ".java.j2"
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


def sources(package: str, task: Task, runtime: Runtime) -> dict[str, bytes]:
    """The wrapper's Java sources and its test in that package, by file name."""
    templates = source_templates(_HERE, "java")
    values = {
        "is_detector": task is Task.DETECT,
        "runtime": runtime.name,
        "is_accelerated": runtime.is_accelerated,
    }
    found = {}
    for folder in (_SHARED, runtime.name, FOLDERS[task]):
        for name, content in _package_data(folder):
            if name.endswith(_PLAIN):
                found[name] = content
            elif name.endswith(_TEMPLATE):
                text = templates.get_template(f"{folder}/{name}").render(values)
                found[name.removesuffix(".j2")] = text.encode()
    return {name: relocate_source(content, source=PACKAGE, target=package) for name, content in sorted(found.items())}


def classes_file(task: Task, runtime: Runtime) -> str:
    """Where the compiled classes lie, beside the sources."""
    return f"{runtime.name}/{FOLDERS[task]}.jar"


def classes(package: str, task: Task, runtime: Runtime) -> dict[str, bytes]:
    """The wrapper's class files in that package, by their paths in a jar."""
    content = files(_HERE).joinpath(classes_file(task, runtime)).read_bytes()
    old, new = (name.replace(".", "/") for name in (PACKAGE, package))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            name.replace(old, new, 1): relocate_class(archive.read(name), source=PACKAGE, target=package)
            for name in archive.namelist()
        }


def _package_data(name: str) -> Iterator[tuple[str, bytes]]:
    return ((each.name, each.read_bytes()) for each in files(_HERE).joinpath(name).iterdir() if each.is_file())
