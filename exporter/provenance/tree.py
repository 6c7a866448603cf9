"""List and hash the regular files of a folder that anybody may have written.

Links are not followed, pipes are not waited for, and large files are never held in memory as a whole.
"""

import hashlib
import os
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from mbexport.errors import DataError
from mbexport.escaping.terminal import visible

_SHOWN_LETTERS: Final = 400
_PART_BYTES: Final = 1 << 20


class Status(StrEnum):
    """What is wrong with a file, or with what it says of others; a `NOTE` is no fault."""

    ALTERED = "altered"  # other bytes than the manifest lists
    MISSING = "missing"  # listed, or asked for, and not there
    EXTRA = "extra"  # there, and not listed
    FOREIGN = "foreign"  # a link, a pipe, a device: nothing that a run makes
    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    INVALID = "invalid"  # a signature that is not of this manifest by this key
    DISAGREES = "disagrees"  # what it says of another file is not what that one is
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding on the file `name`, a path from the folder: what there is, and what was expected, if known."""

    status: Status
    name: str
    got: str
    expected: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the folder is not as it was delivered."""
        return self.status is not Status.NOTE

    @property
    def line(self) -> str:
        """The finding in one line, whatever the file is called."""
        expected = f", expected {self.expected}" if self.expected is not None else ""
        return visible(f"{self.status:<10} {self.name}: got {self.got}{expected}", _SHOWN_LETTERS)


def regular_files(
    root: Path, *, listed: Collection[str], private: Collection[str]
) -> tuple[dict[str, int], list[Finding]]:
    """The size in bytes of each regular file below `root` by its path from there, and findings on anything else.

    A folder that holds none of the `listed` files is a finding, and is not entered, unless it lies at the root and its
    name is one of `private`. Raises `DataError` if `root` cannot be read.
    """
    names = sorted(listed)
    sizes: dict[str, int] = {}
    findings: list[Finding] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda each: each.name)
        except OSError as error:
            if not folder:
                raise DataError(f"{root} must be a folder that can be read, got: {error.strerror}") from None
            findings.append(Finding(status=Status.UNREADABLE, name=folder, got=error.strerror or "an error"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if _holds_one(name, names):
                    folders.append(name)
                elif name not in private:
                    findings.append(Finding(status=Status.EXTRA, name=name, got="a folder that is not listed"))
            elif entry.is_file(follow_symlinks=False):
                sizes[name] = entry.stat(follow_symlinks=False).st_size
            else:
                findings.append(Finding(status=Status.FOREIGN, name=name, got=_kind(entry), expected="a file"))
    return sizes, findings


def _holds_one(folder: str, names: Sequence[str]) -> bool:
    """Whether one of the sorted `names` lies in `folder`."""
    at = bisect_left(names, f"{folder}/")
    return at < len(names) and names[at].startswith(f"{folder}/")


def _kind(entry: os.DirEntry[str]) -> str:
    return "a link" if entry.is_symlink() else "a pipe, socket or device"


def bounded_hash(content: IO[bytes], *, size_bytes: int, algorithm: str = "sha256") -> str | None:
    """The hash of the rest of `content`, in hexadecimal; None as soon as the rest exceeds `size_bytes`."""
    digest = hashlib.new(algorithm)
    left = size_bytes
    while part := content.read(min(_PART_BYTES, left + 1)):
        left -= len(part)
        if left < 0:
            return None
        digest.update(part)
    return digest.hexdigest()


def check_sizes(listed: Mapping[str, int], found: Mapping[str, int]) -> Iterator[Finding]:
    """Findings on files that are missing, extra or of another size; sizes in bytes by path."""
    for name in sorted({*listed, *found}):
        if name not in found:
            yield Finding(status=Status.MISSING, name=name, got="nothing", expected=f"{listed[name]} bytes")
        elif name not in listed:
            yield Finding(status=Status.EXTRA, name=name, got=f"{found[name]} bytes", expected="nothing")
        elif listed[name] != found[name]:
            got, expected = f"{found[name]} bytes", f"{listed[name]} bytes"
            yield Finding(status=Status.ALTERED, name=name, got=got, expected=expected)
