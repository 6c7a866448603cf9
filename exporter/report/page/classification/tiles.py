"""The first screen of a classifier's page: the top-1 that was lost, and how many answers are the same."""

from collections.abc import Sequence
from typing import Final

from mbexport.report.page.numbers import Json, number, percent, percents, points
from mbexport.report.page.tiles import Tile, of_worst, who

_RESULT: Final = ("top1", "agreement")


def tiles(report: Json, files: Sequence[Json]) -> list[Tile | None]:
    """The tiles on quality, from left to right."""
    lost = _lost(report, files) if report["reference"]["precision"] is not None else _right(files)
    return [lost, _same_answers(files)]


def classes(reference: Json) -> str:
    """Of how many classes the test images are."""
    return f"of {number(reference['classes_seen'])} classes" if reference["classes_seen"] else "without labels"


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
        name=f"Top-1 {'gained' if is_gained else 'lost'}, {who(files)}",
        value=f"{points(drop)} points",
        notes=(*([f"{interval} (95 %)"] if interval else []), f"{from_to}{of_worst(files, worst, keys=_RESULT)}"),
    )


def _right(files: Sequence[Json]) -> Tile | None:
    """The top-1 of the worst of the files, where there is no network to have lost it against."""
    judged = [entry for entry in files if entry["top1"] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: float(entry["top1"]))
    interval = percents(worst["top1_ci95"])
    return Tile(
        name=f"Top-1, {who(files)}",
        value=percent(worst["top1"]),
        notes=(*([f"{interval} (95 %)"] if interval else []), f"of the labels{of_worst(files, worst, keys=_RESULT)}"),
    )


def _same_answers(files: Sequence[Json]) -> Tile | None:
    judged = [entry for entry in files if entry["agreement"] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: entry["agreement"])
    interval = percents(worst["agreement_ci95"])
    return Tile(
        name=f"Same answers, {who(files)}",
        value=percent(worst["agreement"]),
        notes=(
            *([f"{interval} (95 %)"] if interval else []),
            f"as the reference{of_worst(files, worst, keys=_RESULT)}",
        ),
    )
