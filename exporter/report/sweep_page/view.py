"""Prepare what the page of a sweep shows: numbered points, their files, links, commands, and notes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mbexport.escaping.markup import clean
from mbexport.formats.registry import FORMATS
from mbexport.report.page.numbers import Json, sentence

AXES: Final[Mapping[str, str]] = {"latency": "Latency", "size": "Size", "mult_adds": "Mult-adds"}
PASSED, GATE_FAILED, FAILED = "passed", "gate_failed", "failed"
_TITLES: Final = {each.name: each.title for each in FORMATS}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPoint:
    """A point of the sweep with its place in the tables, from 1."""

    place: int
    entry: Json

    @property
    def name(self) -> str:
        """The name of the point."""
        return str(self.entry["name"])

    @property
    def status(self) -> str:
        """passed, gate_failed or failed."""
        return str(self.entry["status"])

    @property
    def link(self) -> str | None:
        """The report of the point, beside the page; None for a point that has none."""
        return None if self.status == FAILED else f"./{quote(self.entry['folder'], errors='replace')}/report.html"

    @property
    def why(self) -> str:
        """Why it did not pass, in short."""
        return ", ".join(self.entry["failed_gates"]) or str(self.entry["reason"] or "")

    @property
    def command(self) -> str:
        """The command that builds it alone, as a shell takes it."""
        return shlex.join(self.entry["command"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptFile:
    """An artifact of a point."""

    point: NumberedPoint
    entry: Json

    @property
    def title(self) -> str:
        """What kind of file it is: `int8 TFLite`."""
        return f"{self.entry['precision']} {_TITLES.get(self.entry['format'], self.entry['format'])}"

    @property
    def format(self) -> str:
        """The name of its format."""
        return str(self.entry["format"])

    @property
    def top1(self) -> float | None:
        """Its accuracy; None without labels."""
        return None if self.entry["top1"] is None else float(self.entry["top1"])

    def cost(self, axis: str) -> float | None:
        """What it costs on that axis: milliseconds, bytes or mult-adds; None where it was not measured."""
        if axis == "latency":
            latency = self.entry["latency_ms"]
            return None if latency is None else float(latency["p50"])
        return float(self.entry["size_bytes"] if axis == "size" else self.point.entry["mult_adds"])


def numbered_points(sweep: Json) -> list[NumberedPoint]:
    """Number the points in the sweep's order."""
    return [NumberedPoint(place=place, entry=entry) for place, entry in enumerate(sweep["points"], start=1)]


def swept_files(points: Sequence[NumberedPoint]) -> list[SweptFile]:
    """The files of all points, in their order."""
    return [SweptFile(point=point, entry=entry) for point in points for entry in point.entry["artifacts"]]


def dominators(file: SweptFile, axis: str, files: Sequence[SweptFile]) -> str:
    """Who surely dominates the file on that axis, in short: the first of them and how many more there are."""
    paths = file.entry["dominated_by"][axis] or []
    by_path = {f"{each.point.entry['folder']}/{each.entry['file']}": each for each in files}
    named = [f"{by_path[path].point.name} {by_path[path].entry['precision']}" for path in paths if path in by_path]
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    return f"by {named[0]}{more}" if named else ""


def standing_counts(files: Sequence[SweptFile], file_format: str, axis: str) -> str:
    """How many files of a format are where on that axis: `2 on the front, 5 undecided, 9 dominated`."""
    found = [each.entry["front"][axis] for each in files if each.format == file_format]
    words = {"on": "on the front", "undecided": "undecided", "dominated": "dominated"}
    return ", ".join(f"{found.count(status)} {word}" for status, word in words.items() if status in found)


def caveats(sweep: Json, files: Sequence[SweptFile]) -> list[str]:
    """Notes on what limits the page: noise, files that were not timed, images without labels."""
    lines = []
    if noise := (sweep["machine"] or {}).get("noise"):
        lines.append(str(noise))
    if files and all(each.top1 is None for each in files):
        lines.append("the images have no labels: how accurate the files are is not known, and there is no front")
    if files and all(each.entry["latency_ms"] is None for each in files):
        lines.append("no file was timed")
    return [sentence(clean(line)) for line in lines]
