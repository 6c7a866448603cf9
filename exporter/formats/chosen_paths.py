"""The kernel paths that a user names: which there are, whether they can be used here, and on which files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mbexport.errors import OptionError
from mbexport.formats.file_format import FileFormat
from mbexport.formats.kernel_path import KernelPath
from mbexport.formats.registry import FORMATS, format_of


def every_path() -> Iterator[tuple[FileFormat, KernelPath]]:
    """Each path with the format that it is for."""
    return ((each, row) for each in FORMATS for row in each.paths)


def usable_paths(names: Sequence[str]) -> tuple[str, ...]:
    """The full names of these paths, each once. Raises `OptionError` for one that is unknown, or not usable here."""
    return tuple(dict.fromkeys(map(_usable, names)))


def require_paths_fit(names: Sequence[str], files: Sequence[Path]) -> None:
    """Raise `OptionError` for a path that none of the files is of the right format for."""
    formats = {format_of(file).name for file in files}
    for name in names:
        wanted, _ = _found(name)
        if wanted.name not in formats:
            got = ", ".join(map(str, files))
            raise OptionError(f"--path {name} executes .{wanted.name} files, got {got}")


def paths_of(names: Sequence[str], file: Path) -> tuple[str, ...]:
    """Those of the names that are paths of the file's format."""
    own = format_of(file)
    return tuple(name for name in names if _found(name)[0] is own)


def _usable(name: str) -> str:
    _, row = _found(name)
    lack = row.lack()
    if lack is not None:
        raise OptionError(f"--path {name} cannot be used here: {lack}")
    return name if name in row.names else row.names[0]


def _found(name: str) -> tuple[FileFormat, KernelPath]:
    for each, row in every_path():
        if name in (row.name, *row.names):
            return each, row
    raise OptionError(f"--path must be one of {', '.join(row.spelling for _, row in every_path())}, got {name}")
