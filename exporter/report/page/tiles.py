"""The tiles of a page's first screen, and what those of every task say of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mbexport.artifact import Precision
from mbexport.formats.registry import FORMATS
from mbexport.report.page.numbers import Json
from mbexport.verification.measured_values import gives_raw_heads

_TITLES: Final = {each.name: each.title for each in FORMATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number of the first screen: its name, the number, and a line or two beneath it."""

    name: str
    value: str
    notes: tuple[str, ...] = ()


def subjects(report: Json) -> list[Json]:
    """The artifacts that the tiles speak of."""
    entries = report["artifacts"]
    int8 = [entry for entry in entries if entry["precision"] == Precision.INT8]
    reduced = [entry for entry in entries if entry["precision"] != Precision.FP32]
    return int8 or reduced or list(entries)


def who(files: Sequence[Json]) -> str:
    """What the tiles speak of, in a word or two."""
    precisions = {entry["precision"] for entry in files}
    return str(next(iter(precisions))) if len(precisions) == 1 else f"worst of {len(files)} files"


def of_worst(files: Sequence[Json], worst: Json, *, keys: Sequence[str]) -> str:
    """Of which file a number is, where the files differ in one of `keys`."""
    is_alike = all(entry[key] == worst[key] for entry in files for key in keys)
    return "" if is_alike else f" ({titled(worst)})"


def titled(entry: Json) -> str:
    """The precision and the format, and whether it gives the raw heads of a detector."""
    return f"{entry['precision']} {format_title(entry)}{', raw heads' if gives_raw_heads(entry) else ''}"


def format_title(entry: Json) -> str:
    """What the format is called."""
    return str(_TITLES.get(entry["format"], entry["format"]))
