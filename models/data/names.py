"""Write names of files, whose bytes may be no UTF-8, as text that any report can hold; tell which can be labels."""

import unicodedata
from typing import Final

_IN_NO_LABEL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories: control, no UTF-8, breaks of lines


def can_be_label(name: str) -> bool:
    """Whether a name is UTF-8 in one line, and commands no terminal that shows it."""
    return not any(unicodedata.category(letter) in _IN_NO_LABEL for letter in name)


def shown(name: str) -> str:
    """A name, or a text with names in it, as text: bytes that are no UTF-8 are written as \\xff."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name
