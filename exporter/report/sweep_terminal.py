"""Print a sweep for people to read on a terminal: a row for each point, where it lies, and the smallest good file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from mbexport.artifact import Precision
from mbexport.escaping.terminal import json_text, shell_word
from mbexport.formats.registry import FORMATS
from mbexport.report.formatting import Json, number
from mbexport.report.screen import Screen, Table
from mbexport.report.sweep_page.headline import answer, counts
from mbexport.report.sweep_page.render import PAGE
from mbexport.report.sweep_page.view import AXES, FAILED, GATE_FAILED, PASSED, caveats, numbered_points, swept_files
from mbexport.report.terminal import open_command

_STYLES: Final = MappingProxyType({PASSED: "green", GATE_FAILED: "bold red", FAILED: "bold red"})
_WORDS: Final = MappingProxyType({PASSED: "passed", GATE_FAILED: "gate failed", FAILED: "not built"})
_PRECISIONS: Final = tuple(each.value for each in Precision)
_NOWHERE: Final = "."


def print_sweep(
    sweep: Json, stream: TextIO, *, out: Path | None, as_json: bool = False, commands: Sequence[str] = ()
) -> None:
    """The table of points, the smallest good file, the folder `out`, and at the end the verdict; or sweep.json.

    `commands` are what to do next, beside opening the page.
    """
    if as_json:
        stream.write(json_text(sweep) + "\n")
        return
    screen = Screen(stream, names=[point["name"] for point in sweep["points"]])
    screen.line("")
    screen.table(point_table(sweep))
    for line in _legend(sweep):
        screen.line(line)
    screen.line("")
    screen.line(answer(sweep))
    if out is not None:
        screen.line(f"files: {out}/")
        screen.line("next:")
        for command in (open_command(f"{shell_word(str(out))}/{PAGE}"), *commands):
            screen.copyable(f"  {command}")
    for line in caveats(sweep, swept_files(numbered_points(sweep))):
        screen.line(f"WARNING: {line}", style="bold red")
    screen.line("")
    verdict = "PASSED" if sweep["passed"] else "FAILED"
    screen.line(f"{verdict}: {counts(sweep)}", style=f"bold {'green' if sweep['passed'] else 'red'}")


def point_table(sweep: Json) -> Table:
    """A row for each point; below those that did not pass, why.

    Accuracies are of each precision that the sweep has; latencies of each format and the size are those of the smallest
    precision.
    """
    artifacts = [entry for point in sweep["points"] for entry in point["artifacts"]]
    precisions = [each for each in _PRECISIONS if any(entry["precision"] == each for entry in artifacts)]
    formats = [each.name for each in FORMATS if any(entry["format"] == each.name for entry in artifacts)]
    small = smallest_precision(artifacts)
    is_timed = any(entry["latency_ms"] for entry in artifacts)
    timed = formats if is_timed else []
    header = (
        *("point", *precisions, *(f"{each} ms" for each in timed)),
        *(["MB"] if small else []),
        *("front", "status"),
    )
    rows = [
        (
            point["name"],
            *(_top1(point, each) for each in precisions),
            *(_median(point, small, each) for each in timed),
            *([_size(point, small)] if small else []),
            *(fronts_of(point), _WORDS[point["status"]]),
        )
        for point in sweep["points"]
    ]
    whys = [", ".join(point["failed_gates"]) or point["reason"] or "" for point in sweep["points"]]
    styles = [_STYLES[point["status"]] for point in sweep["points"]]
    return Table(header=header, rows=rows, styles=styles, notes=whys, breaks=(1 + len(precisions),))


def fronts_of(point: Json) -> str:
    """A letter for each front that a file of the point is on, with `?` where that is undecided: `L? S  . `."""
    return " ".join(_mark(point["artifacts"], axis).ljust(2) for axis in AXES)


def smallest_precision(artifacts: Sequence[Json]) -> str:
    """int8 where there is a file of it, else the last precision of any file; empty without files."""
    found = [each for each in _PRECISIONS if any(entry["precision"] == each for entry in artifacts)]
    return Precision.INT8.value if Precision.INT8 in found else found[-1] if found else ""


def _mark(artifacts: Sequence[Json], axis: str) -> str:
    letter = AXES[axis][0]
    if any(entry["front"][axis] == "on" for entry in artifacts):
        return letter
    return f"{letter}?" if any(entry["estimated"][axis] for entry in artifacts) else _NOWHERE


def _legend(sweep: Json) -> Iterator[str]:
    artifacts = [entry for point in sweep["points"] for entry in point["artifacts"]]
    small = smallest_precision(artifacts)
    if not small:
        return
    timed = "" if sweep["threads"] is None else f"ms: median of one image, {sweep['threads']} thread(s), {small}; "
    yield f"fp32, int8 and so on: top-1 of that precision; {timed}MB: {small}"
    letters = ", ".join(f"{title[0]} {title.lower()}" for title in AXES.values())
    yield f"front of top-1 against {letters}; ?: undecided, since intervals overlap; {_NOWHERE}: not on it"


def _first(point: Json, precision: str, file_format: str | None = None) -> Json | None:
    """The point's first file of that precision, and of that format if one is given."""
    files = (each for each in point["artifacts"] if each["precision"] == precision)
    return next((each for each in files if file_format in (None, each["format"])), None)


def _top1(point: Json, precision: str) -> str:
    entry = _first(point, precision)
    return number(entry["top1"] if entry else None, ".1%")


def _median(point: Json, precision: str, file_format: str) -> str:
    entry = _first(point, precision, file_format)
    median = entry["latency_ms"]["p50"] if entry and entry["latency_ms"] else None
    return number(median, ".3f" if median is not None and median < 1 else ".2f")


def _size(point: Json, precision: str) -> str:
    entry = _first(point, precision)
    return number(entry["size_bytes"] / 1e6 if entry else None, ".2f")
