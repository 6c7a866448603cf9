"""Read a file of classes: a class a line, the name of its folder and then its label, or one text that is both.

Both may have blanks. Where a tab parts them, it decides; else the longest beginning of a line that is the name of a
folder is the folder. Where no folder is meant, a line is a label as a whole.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import read_regular
from mbexport.models.data.names import can_be_label

_MOST_BYTES: Final = 1 << 24  # 100,000 classes with long names take a tenth
_LEGAL_NAME: Final = "UTF-8 without control characters"
_WORDNET_ID: Final = re.compile(r"n\d{8}")  # the folder of a class of ImageNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Classes in the order of the scores: `folders[i]` holds images of the class that is shown as `labels[i]`."""

    folders: tuple[str, ...]
    labels: tuple[str, ...]

    @classmethod
    def of_folders(cls, names: Collection[str]) -> "Classes":
        """A class for each folder, in the order of their names, which are the labels.

        Raises `DataError` for a name that cannot be a label: one with a break of lines, or that is no UTF-8.
        """
        ordered = tuple(sorted(names))
        for name in ordered:
            if not can_be_label(name):
                raise DataError(f"a class must have a name of {_LEGAL_NAME}, got {os.fsencode(name)!r}")
        return cls(folders=ordered, labels=ordered)


def read_classes(file: Path, folders: Collection[str], *, least: int = 2) -> Classes:
    """The classes in `file`, of which `folders` are those that exist; a class may have none.

    Raises `DataError` if the file cannot be read, or names a folder twice, outside the data folder, or fewer than
    `least`.
    """
    lines = _lines(file)
    known = [_known_folder(line, folders) for _, line in lines]
    # Beside lines that begin with a folder and go on with a label, a line without a folder has both, too.
    has_labels = any(name is not None and name != line for name, (_, line) in zip(known, lines, strict=True))
    named = [
        (number, *(_parted(line, name) if name is not None else _unknown(line, file, has_labels=has_labels)))
        for name, (number, line) in zip(known, lines, strict=True)
    ]
    first: dict[str, int] = {}
    for number, name, _ in named:
        if name in first:
            raise DataError(f"the classes file {file} must name each folder once, line {number} names {name} twice")
        first[name] = number
    if len(named) < least:
        raise DataError(f"the classes file {file} must name at least {least} different folders, got {len(named)}")
    return Classes(folders=tuple(name for _, name, _ in named), labels=tuple(label for _, _, label in named))


def read_labels(file: Path, *, least: int = 2) -> tuple[str, ...]:
    """The labels of a classes file, in its order, where no folder is meant: two classes may have the same one.

    What is left of a tab is the name of a folder; so is the id of WordNet that each line begins with, or the number of
    the line. Raises `DataError` if the file cannot be read, or has fewer than `least` labels.
    """
    lines = [line for _, line in _lines(file)]
    if len(lines) < least:
        raise DataError(f"the classes file {file} must have at least {least} labels, got {len(lines)}")
    if any("\t" in line for line in lines):
        return tuple(line.partition("\t")[2].strip() or line for line in lines)
    words = [line.split(maxsplit=1) for line in lines]
    firsts = [first for first, *_ in words]
    numbers = [[str(start + place) for place in range(len(lines))] for start in (0, 1)]
    if all(map(_WORDNET_ID.fullmatch, firsts)) or firsts in numbers:
        return tuple(line_words[-1] for line_words in words)
    return tuple(lines)


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, without blanks at both ends, with their numbers from 1."""
    try:
        text = read_regular(file, limit_bytes=_MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"the classes file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"the classes file {file} cannot be read: {error}") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        if not can_be_label(line.replace("\t", " ")):
            raise DataError(f"line {number} of the classes file {file} must be a name of {_LEGAL_NAME}, got {line!a}")
    return lines


def _known_folder(line: str, folders: Collection[str]) -> str | None:
    """The folder that `line` begins with, None if there is no such one; of several the one with the longest name."""
    if line in folders:
        return line
    before_tab = line.partition("\t")[0].strip()
    if before_tab in folders:
        return before_tab
    ends = [match.start() for match in re.finditer(r"\s+", line)]
    return next((line[:end] for end in reversed(ends) if line[:end] in folders), None)


def _parted(line: str, folder: str) -> tuple[str, str]:
    """The folder that the line begins with, and the label behind it, which is the folder's name if there is none."""
    return folder, line[len(folder) :].strip() or folder


def _unknown(line: str, file: Path, *, has_labels: bool) -> tuple[str, str]:
    """The folder and the label in a line whose folder does not exist. Raises `DataError` for one elsewhere."""
    first, *rest = line.split("\t", maxsplit=1) if "\t" in line else line.split(maxsplit=1)
    first = first.strip()
    if not _is_inside(first):
        raise DataError(f"the classes file {file} must name folders inside the data folder, got {first}")
    if rest and ("\t" in line or has_labels or not _is_inside(line)):
        return first, rest[0].strip()
    return line, line


def _is_inside(name: str) -> bool:
    return name not in (".", "..") and not set(name) & set("/\\\0")
