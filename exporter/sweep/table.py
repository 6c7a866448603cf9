"""Write sweep.csv: a row for each file of a sweep, and one for each point that has none."""

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mbexport.escaping.spreadsheet import cell
from mbexport.report.sweep_page.view import AXES

Json = dict[str, Any]
TABLE: Final = "sweep.csv"
_OF_POINT: Final = ("arch", "alpha", "resolution_px", "conv", "mult_adds", "parameters", "status")
_OF_FILE: Final = ("file", "format", "precision", "size_bytes", "top1", "top1_low", "top1_high", "agreement")
_OF_TIME: Final = ("p50_ms", "p50_low_ms", "p50_high_ms", "p90_ms")
_OF_RUN: Final = ("failed_gates", "reason", "attempts", "seconds", "node", "folder")
COLUMNS: Final = (
    *("point", *_OF_POINT, *_OF_FILE, *_OF_TIME),
    *(f"front_{axis}" for axis in AXES),
    *(f"estimated_{axis}" for axis in AXES),
    *_OF_RUN,
)
_NO_FILE: Final[Mapping[str, Any]] = MappingProxyType({})


def sweep_csv(sweep: Json) -> bytes:
    """The content of sweep.csv (RFC 4180, UTF-8) for the value in sweep.json; columns are `COLUMNS`, in this order.

    Fractions are 0..1. What was not measured is empty. Text that a spreadsheet would compute begins with a '.
    """
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for point in sweep["points"]:
        for entry in point["artifacts"] or [_NO_FILE]:
            row = _row(point, entry)
            writer.writerow([_cell(row[column]) for column in COLUMNS])
    return stream.getvalue().encode()


def _row(point: Json, entry: Mapping[str, Any]) -> Json:
    latency = entry.get("latency_ms") or {}
    top1_low, top1_high = entry.get("top1_ci95") or (None, None)
    p50_low, p50_high = latency.get("ci95") or (None, None)
    return {
        "point": point["name"],
        **{name: point[name] for name in (*_OF_POINT, *_OF_RUN)},
        **{name: entry.get(name) for name in _OF_FILE},
        "top1_low": top1_low,
        "top1_high": top1_high,
        "p50_low_ms": p50_low,
        "p50_high_ms": p50_high,
        **{f"{name}_ms": latency.get(name) for name in ("p50", "p90")},
        **{f"{part}_{axis}": entry.get(part, {}).get(axis) for part in ("front", "estimated") for axis in AXES},
    }


def _cell(value: Any) -> str:
    """A number as Python spells it, which any program reads back; text without formulas; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return repr(value)
    return cell(" ".join(_words(value)))


def _words(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value
