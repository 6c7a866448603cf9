"""Find twins, files of one network in two formats or forms, by what they are called."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from mbexport.artifact import RAW
from mbexport.formats.registry import FORMATS

_ENDINGS: Final = frozenset(ending for each in FORMATS for ending in each.endings)
Places = tuple[int, int]


def twins_by_name(paths: Sequence[Path], candidates: Collection[Places]) -> set[Places]:
    """Those of the `candidates`, places of two files, that are called alike.

    Names in one folder count before names in several: what has a twin beside it has no other one elsewhere.
    """
    found: set[Places] = set()
    for is_twin in (_is_one_name_in_one_folder, _is_one_name):
        found |= {(a, b) for a, b in unsettled(candidates, found) if is_twin(paths[a], paths[b])}
    return found


def unsettled(candidates: Collection[Places], found: Collection[Places]) -> list[Places]:
    """Those of the `candidates` of which neither file has been `found` a twin."""
    settled = {place for pair in found for place in pair}
    return [pair for pair in candidates if not settled & set(pair)]


def _is_one_name_in_one_folder(a: Path, b: Path) -> bool:
    return a.parent == b.parent and _is_one_name(a, b)


def _is_one_name(a: Path, b: Path) -> bool:
    return _stem(a) == _stem(b)


def _stem(path: Path) -> str:
    """The name without an ending that says the format, in `net_0.25` there is none, or that the heads are raw."""
    return (path.stem if path.suffix.lower() in _ENDINGS else path.name).removesuffix(RAW)
