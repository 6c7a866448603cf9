"""Tell folders that hold no class: hidden ones, what systems leave behind, and the output of a run."""

import os
from itertools import islice
from pathlib import Path
from typing import Final

from mbexport.documents import MAX_BYTES, parse_json
from mbexport.errors import DataError
from mbexport.files import read_regular
from mbexport.models.data.kinds import DECODERS, ending_of, kind_by_ending

NO_CLASS: Final = "it lies in no class folder"
NO_DEEPER: Final = "a folder of images is read no deeper"
_SYSTEM: Final = "a system made this folder"
# Of Windows, macOS and the storage systems of Synology and QNAP; some hold copies of the photos beside them.
_SYSTEM_FOLDERS: Final = frozenset(
    {"#recycle", "$RECYCLE.BIN", "@Recycle", "@eaDir", "System Volume Information", "__MACOSX", "lost+found"}
)
_PRIVATE, _MANIFEST, _TOOL = ".mbexport", "manifest.json", "mbexport"  # the marks of a run's output
_MOST_NAMES: Final = 10_000


def is_system_folder(name: str) -> bool:
    """Whether systems make folders of that name."""
    return name in _SYSTEM_FOLDERS


def reason_against(folder: Path) -> str:
    """Why `folder` is no class, empty if it may be one.

    Raises `DataError` for the output of a run among images: which of them are the user's cannot be told.
    """
    if folder.name.startswith("."):
        return "it is hidden"
    if is_system_folder(folder.name):
        return _SYSTEM
    if not ((folder / _PRIVATE).is_dir() or is_delivered(folder)):
        return ""
    if _holds_images(folder):
        raise DataError(f"{folder} must not hold both images and the output of a run: move one of them elsewhere")
    return "a run of mbexport wrote this folder"


def holds_photos(folder: Path) -> bool:
    """Whether a file at any depth of `folder` may be a photo by its name; the first 10,000 names are looked at."""
    names = islice((name for _, _, files in os.walk(folder) for name in files), _MOST_NAMES)
    return any(not name.startswith(".") and (kind_by_ending(name) is not None or not ending_of(name)) for name in names)


def is_delivered(folder: Path) -> bool:
    """Whether a run has put its manifest into `folder`."""
    try:
        content = parse_json(read_regular(folder / _MANIFEST, limit_bytes=MAX_BYTES), holds_paths=True)
    except (OSError, ValueError):  # somebody's own file of that name
        return False
    tool = content.get("tool") if isinstance(content, dict) else None
    return isinstance(tool, dict) and tool.get("name") == _TOOL


def _holds_images(folder: Path) -> bool:
    try:
        return any(kind_by_ending(entry.name) in DECODERS for entry in folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None
