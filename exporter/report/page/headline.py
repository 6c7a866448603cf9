"""The first screen of a report's page: what the small files lost, how small and how fast they are, on how many images.

The tiles speak of the int8 files where there are any, else of the files of less than fp32, else of all.
"""

from collections.abc import Sequence

from mbexport.artifact import Precision
from mbexport.report.formatting import PASS, UNDECIDED, verdict
from mbexport.report.page.numbers import (
    Json,
    decimals,
    megabytes,
    milliseconds,
    number,
    percent,
    ratios,
)
from mbexport.report.page.registry import page_of
from mbexport.report.page.tiles import Tile, format_title, subjects, titled


def tiles(report: Json) -> list[Tile]:
    """The tiles from left to right; what was not measured has none."""
    files = subjects(report)
    task = page_of(report)
    made: list[Tile | None] = [
        *task.tiles(report, files),
        _size(report, files),
        _speed(report, files),
        Tile(
            name="Test images",
            value=number(report["reference"]["samples"]),
            notes=(task.classes(report["reference"]),),
        ),
    ]
    return [tile for tile in made if tile is not None]


def gate_counts(report: Json) -> str:
    """How many gates passed, could not be decided and failed: `18 gates: 17 passed, 1 undecided`."""
    gates = report["gates"]
    passed = sum(verdict(gate) == PASS for gate in gates)
    undecided = sum(verdict(gate) == UNDECIDED for gate in gates)
    failed = len(gates) - passed - undecided
    counts = [(passed, "passed"), (undecided, "undecided"), (failed, "failed")]
    summary = ", ".join(f"{count} {word}" for count, word in counts if count) or "none judged"
    return f"{len(gates)} gate{'' if len(gates) == 1 else 's'}: {summary}"


def _size(report: Json, files: Sequence[Json]) -> Tile:
    """The size of each format's file, beside fp32 of the same format."""

    def beside(entry: Json) -> str:
        wide = _wide(report, entry)
        if wide is None:
            return f"{megabytes(entry['size_bytes'])} MB"
        return f"{percent(entry['size_bytes'] / wide['size_bytes'], 0)} of {megabytes(wide['size_bytes'])} MB fp32"

    first = files[0]
    others = [f"{format_title(entry)} {megabytes(entry['size_bytes'])} MB" for entry in _other_formats(files)]
    is_beside = _wide(report, first) is not None
    return Tile(
        name=f"Size, {titled(first)}",
        value=f"{megabytes(first['size_bytes'])} MB",
        notes=(*([beside(first)] if is_beside else []), *others),
    )


def _speed(report: Json, files: Sequence[Json]) -> Tile | None:
    """How many times as fast as fp32 on one thread; the median where there is no fp32 beside it."""
    gains = {ratio["b"]: ratio for ratio in report["speedups"] if ratio["threads"] == 1 and ratio["latency_ratio"]}
    taken = [entry for entry in files if entry["file"] in gains]
    if not taken:
        return _median(files)
    first = gains[taken[0]["file"]]
    interval = first["latency_ratio_ci95"]
    spread = f"{ratios(interval)} (95 %)" if interval else ""
    others = [f"{format_title(entry)} {_times(gains[entry['file']])}" for entry in _other_formats(taken)]
    return Tile(
        name=f"Speed, {titled(taken[0])}",
        value=_times(first),
        notes=("as fast as fp32", *filter(None, [spread, *others])),
    )


def _median(files: Sequence[Json]) -> Tile | None:
    timed = [entry for entry in files if entry["latency_ms"] and entry["latency_ms"]["p50"] is not None]
    if not timed:
        return None
    fastest = min(timed, key=lambda entry: float(entry["latency_ms"]["p50"]))
    value = f"{milliseconds(fastest['latency_ms']['p50'])} ms"
    return Tile(name="Latency p50, one thread", value=value, notes=(titled(fastest),))


def _times(ratio: Json) -> str:
    return f"{decimals(ratio['latency_ratio'])}\u00d7"


def _other_formats(files: Sequence[Json]) -> list[Json]:
    """The first file of each further format."""
    first = {entry["format"]: entry for entry in reversed(files)}
    return [entry for format_name, entry in sorted(first.items()) if format_name != files[0]["format"]]


def _wide(report: Json, entry: Json) -> Json | None:
    """The fp32 file of the same format; None for an fp32 file itself."""
    if entry["precision"] == Precision.FP32:
        return None
    wide = (each for each in report["artifacts"] if each["precision"] == Precision.FP32)
    return next((each for each in wide if each["format"] == entry["format"]), None)
