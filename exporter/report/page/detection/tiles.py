"""The first screen of a detector's page: the AP that was lost, AP50, and how many detections were kept."""

from collections.abc import Sequence

from mbexport.report.page.numbers import Json, decimals, intervals, number, percent, percents
from mbexport.report.page.tiles import Tile, of_worst, who

_DIGITS = 3


def tiles(report: Json, files: Sequence[Json]) -> list[Tile | None]:
    """The tiles on quality, from left to right."""
    reference = report["reference"]
    first = _lost(reference, files) if reference["precision"] is not None else _precision("ap", "AP", files, {})
    return [first, _precision("ap50", "AP50", files, reference), _kept(files)]


def classes(reference: Json) -> str:
    """How many objects the test images have, of how many classes."""
    return f"{number(reference['objects'])} objects of {number(reference['classes_seen'])} classes"


def _lost(reference: Json, files: Sequence[Json]) -> Tile | None:
    """The AP that the worst of the files lost."""
    judged = [entry for entry in files if entry["ap_drop"] is not None]
    if not judged:
        return None
    worst = max(judged, key=lambda entry: float(entry["ap_drop"]))
    is_gained = round(worst["ap_drop"], _DIGITS) < 0
    sign = -1 if is_gained else 1
    ends = sorted(sign * end for end in worst["ap_drop_ci95"] or [])
    from_to = f"{decimals(reference['ap'], _DIGITS)} \u2192 {decimals(worst['ap'], _DIGITS)}"
    return Tile(
        name=f"AP {'gained' if is_gained else 'lost'}, {who(files)}",
        value=decimals(sign * worst["ap_drop"], _DIGITS),
        notes=(*_spread(intervals(ends)), f"{from_to}{of_worst(files, worst, keys=('ap',))}"),
    )


def _precision(key: str, title: str, files: Sequence[Json], reference: Json) -> Tile | None:
    """The AP, or AP50, of the worst of the files, beside the reference's."""
    judged = [entry for entry in files if entry[key] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: float(entry[key]))
    beside = f"reference {decimals(reference[key], _DIGITS)}" if reference.get(key) is not None else "of the labels"
    return Tile(
        name=f"{title}, {who(files)}",
        value=decimals(worst[key], _DIGITS),
        notes=(*_spread(intervals(worst[f"{key}_ci95"])), f"{beside}{of_worst(files, worst, keys=(key,))}"),
    )


def _kept(files: Sequence[Json]) -> Tile | None:
    """The detections of the reference that the worst of the files has too."""
    judged = [entry for entry in files if entry["paired"] is not None]
    if not judged:
        return None
    worst = min(judged, key=lambda entry: float(entry["paired"]))
    return Tile(
        name=f"Detections kept, {who(files)}",
        value=percent(worst["paired"]),
        notes=(
            *_spread(percents(worst["paired_ci95"])),
            f"of the reference's{of_worst(files, worst, keys=('paired',))}",
        ),
    )


def _spread(interval: str) -> tuple[str, ...]:
    return (f"{interval} (95 %)",) if interval else ()
