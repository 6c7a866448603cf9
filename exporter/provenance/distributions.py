"""Turns the name of an installed distribution into all that it needs, as it is installed here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from typing import Final

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_LONGEST_LICENCE: Final = 80  # letters; some distributions put the whole text where its name belongs
_CLASSIFIER: Final = "License :: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution: `needs` are the canonical names of those installed that it asks for here."""

    name: str
    version: str
    licence: str | None
    needs: tuple[str, ...]


def closure(roots: Mapping[str, Iterable[str]]) -> dict[str, Installed]:
    """All that `roots` (extras by name) need, directly or not, themselves included, by canonical name, in its order.

    Markers are those of this Python and machine; what is asked for and not installed is left out.
    """
    here: dict[str, Distribution] = {}
    for each in distributions():  # the first on the path is the one that is imported
        if "Name" in each.metadata and "Version" in each.metadata:  # else pip was stopped while it removed it
            here.setdefault(canonicalize_name(each.name), each)
    extras: dict[str, frozenset[str]] = {}
    needs: dict[str, set[str]] = {}
    open_ends = [(canonicalize_name(name), frozenset(asked)) for name, asked in roots.items()]
    while open_ends:
        name, asked = open_ends.pop()
        known = extras.get(name)
        if name not in here or (known is not None and asked <= known):
            continue
        extras[name] = asked | (known or frozenset())
        wanted = _wanted(here[name], extras[name])
        needs[name] = {each for each, _ in wanted if each in here}
        open_ends += wanted
    return {name: _installed(name, here[name], needs[name]) for name in sorted(needs)}


def _wanted(distribution: Distribution, extras: frozenset[str]) -> list[tuple[NormalizedName, frozenset[str]]]:
    wanted = []
    for text in distribution.requires or ():
        try:
            each = Requirement(text)
            counts = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in {"", *extras})
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue  # of a time before there were rules; pip cannot follow it either
        if counts:
            wanted.append((canonicalize_name(each.name), frozenset(each.extras)))
    return wanted


def _installed(name: str, distribution: Distribution, needs: Iterable[str]) -> Installed:
    return Installed(
        name=name, version=distribution.version, licence=_licence(distribution), needs=tuple(sorted(needs))
    )


def _licence(distribution: Distribution) -> str | None:
    """What it says of its licence, best first: an SPDX expression (PEP 639), a name, a classifier."""
    told = distribution.metadata
    for field in ("License-Expression", "License"):
        text = (told[field] or "").strip() if field in told else ""
        if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST_LICENCE:
            return text
    named = [each for each in told.get_all("Classifier") or () if each.startswith(_CLASSIFIER)]
    return named[0].rsplit(" :: ", 1)[1] if named else None
