"""Turns what is not as it should be in an output folder into a line."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SHOWN_LETTERS: Final = 200


class Status(StrEnum):
    """What became of a file, or of what one says; only a `NOTE` is nothing to worry about."""

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
    """One thing about the file `name`, a path from the folder: what was found, and what was expected if it is known."""

    status: Status
    name: str
    got: str
    expected: str | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the folder is not what was delivered."""
        return self.status is not Status.NOTE

    @property
    def line(self) -> str:
        """The same in one line that no name of a file can break."""
        expected = f", expected {self.expected}" if self.expected is not None else ""
        return printable(f"{self.status:<10} {self.name}: got {self.got}{expected}")


def printable(text: str) -> str:
    """`text` in one line without control characters; what cannot be shown is escaped."""
    shown = text if len(text) <= 2 * _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…{text[-_SHOWN_LETTERS:]}"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown)
