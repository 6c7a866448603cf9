"""Zip the files of bundles: the same input gives the same bytes, and no name leads out of where it is unpacked."""

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

from mbexport.errors import DataError

# The earliest date that a zip can hold (APPNOTE.TXT 4.4.6, MS-DOS dates).
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3  # APPNOTE.TXT 4.4.2.2: whose file attributes these are
_MODE: Final = 0o100644 << 16  # a plain file that everybody may read
_LONGEST_NAME: Final = 255  # bytes: of a file or folder, on any file system
_LEADING_OUT: Final = ("", ".", "..")
_DRIVE: Final = re.compile("[A-Za-z]:")


def require_path(name: str) -> str:
    """`name` itself, a path to a file below the folder that it starts from, on every system.

    Raises `DataError` for any other: absolute ones, those with `..`, with letters that nobody sees, or too long.
    """
    parts = name.split("/")
    is_plain = name.isprintable() and "\\" not in name and not _DRIVE.match(name)
    is_short = is_plain and all(len(part.encode()) <= _LONGEST_NAME for part in parts)
    if not is_short or any(part in _LEADING_OUT for part in parts):
        raise DataError(
            f"a file of a bundle must have a relative path of printable names without '..' and '\\', of at most "
            f"{_LONGEST_NAME} bytes each, got {name[:_LONGEST_NAME]!r}"
        )
    return name


def zip_bytes(files: Mapping[str, bytes], *, is_stored: Callable[[str], bool] = lambda _: False) -> bytes:
    """A zip of `files`, by their names in it, in the order of the names; those that `is_stored` are not compressed.

    Its bytes depend on names and contents alone. Raises `DataError` for a name that is no path inside.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(require_path(name), _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = zipfile.ZIP_STORED if is_stored(name) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return buffer.getvalue()
