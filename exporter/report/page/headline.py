"""The first screen of a report's page: what the small files lost, how small and how fast they are, on how many images.

The tiles speak of the int8 files where there are any, else of the files of less than fp32, else of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mbexport.artifact import Precision
from mbexport.formats.registry import FORMATS
from mbexport.report.formatting import PASS, UNDECIDED, verdict
from mbexport.report.page.numbers import (
    Json,
    decimals,
    megabytes,
    milliseconds,
    number,
    percent,
    percents,
    points,
    ratios,
)

_TITLES: Final = {each.name: each.title for each in FORMATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number of the first screen: its name, the number, and a line or two beneath it."""

    name: str
    value: str
    notes: tuple[str, ...] = ()


def tiles(report: Json) -> list[Tile]:
    """The tiles from left to right; what was not measured has none."""
    files = subjects(report)
    made: list[Tile | None] = [
        _lost(report, files) if report["reference"]["precision"] is not None else _right(files),
        _same_answers(files),
        _size(report, files),
        _speed(report, files),
        _images(report),
    ]
    return [tile for tile in made if tile is not None]


def subjects(report: Json) -> list[Json]:
    """The artifacts that the tiles speak of."""
    entries = report["artifacts"]
    int8 = [entry for entry in entries if entry["precision"] == Precision.INT8]
    reduced = [entry for entry in entries if entry["precision"] != Precision.FP32]
    return int8 or reduced or list(entries)


def gate_counts(report: Json) -> str:
    """How many gates passed, could not be decided and failed: `18 gates: 17 passed, 1 undecided`."""
    gates = report["gates"]
    passed = sum(verdict(gate) == PASS for gate in gates)
    undecided = sum(verdict(gate) == UNDECIDED for gate in gates)
    failed = len(gates) - passed - undecided
    counts = [(passed, "passed"), (undecided, "undecided"), (failed, "failed")]
    summary = ", ".join(f"{count} {word}" for count, word in counts if count) or "none judged"
    return f"{len(gates)} gate{'' if len(gates) == 1 else 's'}: {summary}"


def _lost(report: Json, files: Sequence[Json]) -> Tile | None:
    """The points of top-1 that the worst of the files lost."""
    judged = [entry for entry in files if entry["difference"]]
    if not judged:
        return None
    worst = max(judged, key=lambda entry: entry["difference"]["top1_drop"])
    difference = worst["difference"]
    is_gained = difference["top1_drop"] < 0
    sign = -1 if is_gained else 1
    drop, interval = sign * difference["top1_drop"], percents(sorted(sign * end for end in difference["score_ci95"]))
    from_to = f"{percent(report['reference']['top1'])} \u2192 {percent(worst['top1'])}"
    return Tile(
        name=f"Top-1 {'gained' if is_gained else 'lost'}, {_who(files)}",
        value=f"{points(drop)} points",
        notes=(*([f"{interval} (95 %)"] if interval else []), f"{from_to}{_of_worst(files, worst)}"),
    )


def _right(files: Sequence[Json]) -> Tile | None:
    """The top-1 of the worst of the files, where there is no network to have lost it against."""
    judged = [entry for entry in files if entry["top1"] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: float(entry["top1"]))
    interval = percents(worst["top1_ci95"])
    return Tile(
        name=f"Top-1, {_who(files)}",
        value=percent(worst["top1"]),
        notes=(*([f"{interval} (95 %)"] if interval else []), f"of the labels{_of_worst(files, worst)}"),
    )


def _same_answers(files: Sequence[Json]) -> Tile | None:
    judged = [entry for entry in files if entry["agreement"] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: entry["agreement"])
    interval = percents(worst["agreement_ci95"])
    return Tile(
        name=f"Same answers, {_who(files)}",
        value=percent(worst["agreement"]),
        notes=(*([f"{interval} (95 %)"] if interval else []), f"as the reference{_of_worst(files, worst)}"),
    )


def _size(report: Json, files: Sequence[Json]) -> Tile:
    """The size of each format's file, beside fp32 of the same format."""

    def beside(entry: Json) -> str:
        wide = _wide(report, entry)
        if wide is None:
            return f"{megabytes(entry['size_bytes'])} MB"
        return f"{percent(entry['size_bytes'] / wide['size_bytes'], 0)} of {megabytes(wide['size_bytes'])} MB fp32"

    first = files[0]
    others = [f"{_named(entry)} {megabytes(entry['size_bytes'])} MB" for entry in _other_formats(files)]
    is_beside = _wide(report, first) is not None
    return Tile(
        name=f"Size, {_titled(first)}",
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
    others = [f"{_named(entry)} {_times(gains[entry['file']])}" for entry in _other_formats(taken)]
    return Tile(
        name=f"Speed, {_titled(taken[0])}",
        value=_times(first),
        notes=("as fast as fp32", *filter(None, [spread, *others])),
    )


def _median(files: Sequence[Json]) -> Tile | None:
    timed = [entry for entry in files if entry["latency_ms"] and entry["latency_ms"]["p50"] is not None]
    if not timed:
        return None
    fastest = min(timed, key=lambda entry: float(entry["latency_ms"]["p50"]))
    value = f"{milliseconds(fastest['latency_ms']['p50'])} ms"
    return Tile(name="Latency p50, one thread", value=value, notes=(_titled(fastest),))


def _images(report: Json) -> Tile:
    reference = report["reference"]
    note = f"of {number(reference['classes_seen'])} classes" if reference["classes_seen"] else "without labels"
    return Tile(name="Test images", value=number(reference["samples"]), notes=(note,))


def _times(ratio: Json) -> str:
    return f"{decimals(ratio['latency_ratio'])}\u00d7"


def _who(files: Sequence[Json]) -> str:
    """What the tiles speak of, in a word or two."""
    precisions = {entry["precision"] for entry in files}
    return str(next(iter(precisions))) if len(precisions) == 1 else f"worst of {len(files)} files"


def _of_worst(files: Sequence[Json], worst: Json) -> str:
    """Of which file a number is, where the files differ in it."""
    is_alike = all(_result(entry) == _result(worst) for entry in files)
    return "" if is_alike else f" ({_titled(worst)})"


def _result(entry: Json) -> tuple[float | None, float | None]:
    return entry["top1"], entry["agreement"]


def _titled(entry: Json) -> str:
    return f"{entry['precision']} {_named(entry)}"


def _named(entry: Json) -> str:
    return str(_TITLES.get(entry["format"], entry["format"]))


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
