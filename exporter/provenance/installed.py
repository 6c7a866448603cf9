"""Which distributions are installed here, and which of them others require: name, version and licence of each."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from importlib.metadata import distributions
from types import MappingProxyType
from typing import Final, cast

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_LONGEST_LICENCE: Final = 80  # characters; some distributions put the whole text where the licence's name belongs
_CLASSIFIER: Final = "License :: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution; `needs` are the canonical names of the installed distributions that it requires here."""

    name: str
    version: str
    licence: str | None
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata:
    """What a distribution states of itself; `requires` holds what can be followed."""

    version: str
    licence: str | None
    requires: tuple[Requirement, ...]


def closure(roots: Mapping[str, Iterable[str]]) -> dict[str, Installed]:
    """The `roots` (extras by name) and all distributions that they require, directly or not, by canonical name, sorted.

    Markers are evaluated for this Python and machine; what is required and not installed is left out. A process reads
    the metadata on its path once: it goes on with the packages that it has loaded.
    """
    here = _metadata_on(tuple(sys.path))
    extras: dict[NormalizedName, frozenset[str]] = {}
    needs: dict[NormalizedName, set[NormalizedName]] = {}
    open_ends = [(canonicalize_name(name), frozenset(asked)) for name, asked in roots.items()]
    while open_ends:
        name, asked = open_ends.pop()
        known = extras.get(name)
        if name not in here or (known is not None and asked <= known):
            continue
        extras[name] = asked | (known or frozenset())
        wanted = _wanted(here[name].requires, extras[name])
        needs[name] = {each for each, _ in wanted if each in here}
        open_ends += wanted
    return {
        name: Installed(
            name=name, version=here[name].version, licence=here[name].licence, needs=tuple(sorted(needs[name]))
        )
        for name in sorted(needs)
    }


@lru_cache(maxsize=4)
def _metadata_on(path: tuple[str, ...]) -> Mapping[NormalizedName, _Metadata]:
    """The distributions on a path by canonical name; the first on it is the one that is imported."""
    here: dict[NormalizedName, _Metadata] = {}
    for each in distributions(path=list(path)):
        metadata = cast(Message, each.metadata)  # parsed anew each time that it is asked for
        name = canonicalize_name(metadata.get("Name", ""))
        if name and name not in here and "Version" in metadata:  # else pip was stopped as it removed it
            here[name] = _Metadata(
                version=metadata["Version"],
                licence=_licence(metadata),
                requires=tuple(_requirements(each.requires or ())),
            )
    return MappingProxyType(here)


def _requirements(texts: Iterable[str]) -> Iterable[Requirement]:
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue  # written before there were rules (PEP 508); pip cannot follow it either


def _wanted(requirements: Iterable[Requirement], extras: frozenset[str]) -> list[tuple[NormalizedName, frozenset[str]]]:
    """The distributions that count with these extras, and the extras that are asked of them."""
    wanted = []
    for each in requirements:
        try:
            counts = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in {"", *extras})
        except UndefinedEnvironmentName:
            continue
        if counts:
            wanted.append((canonicalize_name(each.name), frozenset(each.extras)))
    return wanted


def _licence(metadata: Message) -> str | None:
    """The licence that the metadata state, best first: an SPDX expression (PEP 639), a name, a classifier."""
    for field in ("License-Expression", "License"):
        text = (metadata[field] or "").strip() if field in metadata else ""
        if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST_LICENCE:
            return text
    named = [each for each in metadata.get_all("Classifier") or () if each.startswith(_CLASSIFIER)]
    return named[0].rsplit(" :: ", 1)[1] if named else None
