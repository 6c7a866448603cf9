"""The first screen of a sweep: how many points passed, and which file is the smallest that loses next to nothing."""

from collections.abc import Callable, Sequence
from typing import Final

from mbexport.report.page.numbers import Json, megabytes, milliseconds, number, percent, percents
from mbexport.report.page.tiles import Tile
from mbexport.report.sweep_page.view import (
    FAILED,
    GATE_FAILED,
    PASSED,
    NumberedPoint,
    SweptFile,
    numbered_points,
    swept_files,
)

CLOSE: Final = 0.01  # of top-1: what is within this of the best loses next to nothing
_MOST_NAMES: Final = 3


def counts(sweep: Json) -> str:
    """How many points passed: `16 points: 14 passed, 1 failed a gate, 1 was not built`."""
    points = numbered_points(sweep)
    found = {status: sum(each.status == status for each in points) for status in (PASSED, GATE_FAILED, FAILED)}
    words = {PASSED: "passed", GATE_FAILED: "failed a gate", FAILED: "could not be built"}
    told = ", ".join(f"{found[status]} {words[status]}" for status in words if found[status])
    return f"{len(points)} point{'' if len(points) == 1 else 's'}: {told or 'none'}"


def failures(sweep: Json) -> str:
    """Which points did not pass, in one sentence; empty where all did."""
    points = [each for each in numbered_points(sweep) if each.status != PASSED]
    named = [f"{each.name} ({each.why})" if each.why else each.name for each in points[:_MOST_NAMES]]
    more = f" and {len(points) - _MOST_NAMES} more" if len(points) > _MOST_NAMES else ""
    return f"Not passed: {', '.join(named)}{more}." if named else ""


def answer(sweep: Json) -> str:
    """The smallest file within a point of the best top-1, in one sentence; why there is none, if there is none."""
    best, small = best_file(sweep), nearly_best(sweep, "size")
    if best is None or small is None:
        return "No point that passed has a known accuracy."
    if small == best:
        return f"Best and smallest within 1 point of it: {_named(best)}, {_figures(best)}."
    return (
        f"Smallest within 1 point of the best: {_named(small)}, {_figures(small)}; "
        f"the best is {_named(best)}, {_figures(best)}."
    )


def best_file(sweep: Json) -> SweptFile | None:
    """The file of a passed point with the highest top-1, the smallest of those; None where there is none."""
    judged = _judged(sweep)
    return min(judged, key=lambda each: (-(each.top1 or 0.0), each.entry["size_bytes"])) if judged else None


def nearly_best(sweep: Json, axis: str) -> SweptFile | None:
    """The file of a passed point that costs least on that axis among those within `CLOSE` of the best top-1."""
    best = best_file(sweep)
    if best is None:
        return None
    least = (best.top1 or 0.0) - CLOSE
    close = [(each.cost(axis), each) for each in _judged(sweep) if (each.top1 or 0.0) >= least]
    measured = [(cost, each) for cost, each in close if cost is not None]
    return min(measured, key=lambda pair: (pair[0], -(pair[1].top1 or 0.0)))[1] if measured else None


def tiles(sweep: Json) -> list[Tile]:
    """The tiles from left to right; what is not known has none."""
    made = [
        _tile("Best top-1", best_file(sweep), lambda each: percent(each.top1)),
        _tile("Smallest within 1 point", nearly_best(sweep, "size"), _size),
        _tile("Fastest within 1 point", nearly_best(sweep, "latency"), _latency),
    ]
    images = Tile(name="Test images", value=number(sweep["test_images"]), notes=(sweep["data"] or "",))
    return [*(tile for tile in made if tile is not None), images]


def _tile(name: str, file: SweptFile | None, shown: Callable[[SweptFile], str]) -> Tile | None:
    if file is None:
        return None
    interval = percents(file.entry["top1_ci95"])
    accuracy = f"{percent(file.top1)}{f' ({interval})' if interval else ''}"
    return Tile(name=name, value=shown(file), notes=(_named(file), accuracy))


def _judged(sweep: Json) -> list[SweptFile]:
    points: Sequence[NumberedPoint] = [each for each in numbered_points(sweep) if each.status == PASSED]
    return [each for each in swept_files(points) if each.top1 is not None]


def _named(file: SweptFile) -> str:
    return f"{file.point.name} {file.title}"


def _figures(file: SweptFile) -> str:
    latency = "" if file.entry["latency_ms"] is None else f", {_latency(file)}"
    return f"{percent(file.top1)}, {_size(file)}{latency}"


def _size(file: SweptFile) -> str:
    return f"{megabytes(file.entry['size_bytes'])} MB"


def _latency(file: SweptFile) -> str:
    return f"{milliseconds(file.cost('latency'))} ms"
