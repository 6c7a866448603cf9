"""Tabulate which ops of a file each delegate takes, and which not and why."""

from collections.abc import Iterable, Iterator
from typing import Any

from mbexport.escaping.terminal import LONGEST_CELL, visible

Json = dict[str, Any]
_NAMES = ("delegate", "known by", "ops taken", "which not, and why")


def delegate_lines(facts: Json) -> list[str]:
    """The table, and the published lists that it is from."""
    rows = [_NAMES]
    for entry in facts["delegates"]:
        title = entry["title"]
        for cells in _rows(entry):
            rows.append((title, *cells))
            title = ""
    clipped = [tuple(visible(cell, LONGEST_CELL) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in clipped) for column in range(len(_NAMES))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in clipped]
    return [f"{facts['file']}: {facts['ops']} ops", *lines, *_sources(facts["delegates"])]


def _rows(entry: Json) -> Iterator[tuple[str, str, str]]:
    """The cells behind the title, line by line."""
    measured, published = entry["measured"], entry["published"]
    if measured is not None:
        yield from _spread("measured", measured, _left(measured))
    elif entry["not_measured"] is not None:
        yield "not measured", "-", entry["not_measured"]
    if published is not None:
        yield from _spread(
            "list", published, [f"{each['count']} {each['op']}: {each['why']}" for each in published["refused"]]
        )
    if measured is None and published is None and entry["not_measured"] is None:
        yield "-", "-", f"executes .{entry['format']} files"
    for each in entry["differences"]:
        said = "taken when measured, not by the list" if each["measured"] else "taken by the list, not when measured"
        yield "difference", "", f"{each['op']}: {said}"


def _left(share: Json) -> list[str]:
    if share["taken"] is None:
        return ["the runtime does not say which"]
    return [
        f"{count} {op}: left to {share['executor']}; the runtime gives no reason" for op, count in share["left"].items()
    ]


def _spread(known: str, part: Json, reasons: list[str]) -> Iterator[tuple[str, str, str]]:
    taken = "some" if part["taken"] is None else str(part["taken"])
    first, *others = reasons or ["none: the whole graph"]
    yield known, f"{taken} of {part['total']}", first
    yield from (("", "", each) for each in others)


def _sources(entries: Iterable[Json]) -> Iterator[str]:
    for entry in entries:
        part = entry["published"]
        if part is not None:
            note = f"; {part['note']}" if part["note"] else ""
            yield f"list of {entry['title']}: {part['source']}, {part['as_of']}{note}"
        if entry["measured"] is not None:
            device = entry["measured"]["device"]
            yield f"measured of {entry['title']}: --path {entry['measured']['path']}{f' on {device}' if device else ''}"
