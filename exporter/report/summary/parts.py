"""What the sections of the CI server's page are made of: titles, tables, and rows that several files share."""

from collections.abc import Iterable, Sequence
from typing import Final

from mbexport.escaping.markdown import code, details
from mbexport.report.formatting import Json, interval, number

WORST: Final = 10  # classes, confusions, images: the page and report.json have more
_MOST_NAMES: Final = 4


def section(title: str, body: str, rows: Sequence[object]) -> str:
    """A section with its title; empty without rows."""
    return f"### {title}\n\n{body}" if rows else ""


def folded(title: str, body: str, rows: Sequence[object]) -> str:
    """A section that is opened by a click on its title; empty without rows."""
    return details(title, body) if rows else ""


def times_as_fast(entry: Json) -> str:
    """A ratio of latencies with its interval."""
    return number(entry["latency_ratio"], ".2f") + interval(entry["latency_ratio_ci95"], ".2f")


def shared(found: Iterable[tuple[list[str], str]]) -> list[list[str]]:
    """Merge equal rows: each once, behind the names of the files that have it. Twins share most rows."""
    files: dict[tuple[str, ...], dict[str, None]] = {}  # dictionaries for the order in which they came
    for cells, file in found:
        files.setdefault(tuple(cells), {})[file] = None
    return [[_names(list(names)), *cells] for cells, names in files.items()]


def _names(files: Sequence[str]) -> str:
    left_out = [f"and {len(files) - _MOST_NAMES} more"] if len(files) > _MOST_NAMES else []
    return "<br>".join([*map(code, files[:_MOST_NAMES]), *left_out])
