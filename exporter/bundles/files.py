"""Turns files into a zip archive whose bytes depend on their names and contents alone."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(package: str) -> Environment:
    """The templates of that package; no HTML, so that each language's own filters escape what needs it."""
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


# The earliest date that the format can say (APPNOTE.TXT 4.4.6, MS-DOS dates).
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3  # APPNOTE.TXT 4.4.2.2: whose file attributes these are
_MODE: Final = 0o100644 << 16  # a plain file that everybody may read


def zip_bytes(files: Mapping[str, bytes], *, is_stored: Callable[[str], bool] = lambda _: False) -> bytes:
    """A zip of `files`, by their names in it, in the order of the names; `is_stored` names those not to compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = zipfile.ZIP_STORED if is_stored(name) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return buffer.getvalue()
