"""Render the files of bundles and zip them: the same input gives the same bytes."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

# The earliest date that a zip can hold (APPNOTE.TXT 4.4.6, MS-DOS dates).
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3  # APPNOTE.TXT 4.4.2.2: whose file attributes these are
_MODE: Final = 0o100644 << 16  # a plain file that everybody may read


def environment(package: str) -> Environment:
    """The templates in the folder of `package`, without HTML's escapes: each language escapes by filters of its own."""
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def zip_bytes(files: Mapping[str, bytes], *, is_stored: Callable[[str], bool] = lambda _: False) -> bytes:
    """A zip of `files`, by their names in it, in the order of the names; those that `is_stored` are not compressed.

    Its bytes depend on names and contents alone.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = zipfile.ZIP_STORED if is_stored(name) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return buffer.getvalue()
