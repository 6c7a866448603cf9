"""Turns the names of classes into labels.txt, a class a line in the order of the scores, and back."""

from collections.abc import Iterable
from typing import Final

LABELS: Final = "labels.txt"


def labels_file(names: Iterable[str]) -> bytes:
    """The content of labels.txt for names that are a line each."""
    return "".join(f"{name}\n" for name in names).encode()


def labels_in(content: bytes) -> tuple[str, ...]:
    """The names that `labels_file` wrote."""
    return tuple(content.decode().split("\n")[:-1])
