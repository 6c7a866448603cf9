"""Turns the labels inside a file and the names of the data's classes into how many stand at the right place."""

from collections.abc import Sequence
from typing import Final

# With fewer labels that name any class the file speaks of its classes in other words, which proves nothing.
_FEWEST_KNOWN: Final = 0.5


def matched_share(labels: Sequence[str] | None, classes: Sequence[str]) -> float | None:
    """The share of `labels` that name the class at their place, of those that name any of `classes`.

    A name may hold synonyms behind commas; capitals and underscores do not count. None without labels, or where
    they are in other words; 0 for another number of labels than of classes.
    """
    if not labels:
        return None
    if len(labels) != len(classes):
        return 0.0
    wanted = [_synonyms(name) for name in classes]
    everything = frozenset().union(*wanted)
    told = [(_synonyms(label), right) for label, right in zip(labels, wanted, strict=True)]
    known = [bool(said & right) for said, right in told if said & everything]
    if len(known) < _FEWEST_KNOWN * len(labels):
        return None
    return sum(known) / len(known)


def _synonyms(name: str) -> frozenset[str]:
    return frozenset(part.strip().replace("_", " ").casefold() for part in name.split(",")) - {""}
