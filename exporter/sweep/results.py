"""Put what became of all points together as sweep.json (schema 1): figures, fronts, and who dominates whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mbexport import __version__
from mbexport.documents import Form, read_json_file, refusal
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED
from mbexport.files import is_inside
from mbexport.latency.intervals import Interval
from mbexport.latency.sittings import Timings
from mbexport.models.resolution import Resolution
from mbexport.report.schema import sweep_schema
from mbexport.report.sweep_page.view import AXES, FAILED, GATE_FAILED, PASSED
from mbexport.sweep.front import Candidate, exact, standings

Json = dict[str, Any]
SCHEMA: Final = 1
SWEEP: Final = "sweep.json"
POINTS: Final = "points"  # the folder of all points
FORM: Final = Form(title="the sweep.json of mbexport", schema=sweep_schema)
_DIGITS: Final = 6  # of milliseconds: the clock's nanoseconds, so that rounding makes no two files equal


@dataclass(frozen=True, slots=True, kw_only=True)
class PointResult:
    """How one point ended: its network, its exit code as `mbexport` has them, and its report.json if it has one.

    `arch` is the name of the architecture, `conv` the kind of a MobileNet v1's convolutions; None where there is none.
    `reason` says in one line why it failed, `command` are the words of the command line that made it.
    """

    name: str
    arch: str | None
    alpha: float | None
    resolution: Resolution
    conv: str | None
    mult_adds: int
    parameters: int
    exit_code: int
    reason: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    node: str = ""
    command: tuple[str, ...] = ()
    report: Json | None = None

    @property
    def folder(self) -> str:
        """The point's folder within the sweep's."""
        return f"{POINTS}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLatency:
    """Milliseconds of one file: the typical median of the sittings with its 95 % interval, and the 90th percentile."""

    median: Interval
    p90_ms: float


def latencies_of(timings: Timings, *, threads: int) -> dict[str, FileLatency]:
    """The latency of each timed file on that many threads, by the name under which it was timed."""
    return {
        name: FileLatency(median=timings.median(name, threads), p90_ms=timings.latency(name, threads).p90_ms)
        for name, count in timings.times_ms
        if count == threads
    }


def artifact_path(folder: str, file: str) -> str:
    """The path of a file within the sweep's folder, by which latencies and dominators are named."""
    return f"{folder}/{file}"


def sweep_json(
    points: Sequence[PointResult],
    latencies: Mapping[str, FileLatency],
    *,
    threads: int | None,
    machine: Json | None,
    speed_gates: Sequence[Json] = (),
    nodes: Mapping[str, Json] = MappingProxyType({}),
) -> Json:
    """The content of sweep.json; whatever the order of `points` is, theirs is by architecture, width and resolution.

    `latencies` are by `artifact_path`, without those of files that were not timed, on `threads` threads of `machine`,
    the result of `machine_json`; both None where nothing was timed. `speed_gates` are as in a report, each with the
    name of its `point`: one that fails makes that point's status `gate_failed`. `nodes` are the processors of the other
    machines on which points were built this time, by name.
    """
    ordered = sorted(points, key=_order)
    entries = [_point_json(each, latencies, speed_gates) for each in ordered]
    are_passed = [*(each["status"] == PASSED for each in entries), *(gate["passed"] for gate in speed_gates)]
    _place_on_fronts(entries)
    return {
        "schema": SCHEMA,
        "tool": {"name": "mbexport", "version": __version__},
        "data": _of_first_report(ordered, "data", "name"),
        "test_images": _of_first_report(ordered, "reference", "samples"),
        "threads": threads,
        "machine": machine,
        "nodes": {name: dict(facts) for name, facts in nodes.items()},
        "passed": bool(entries) and all(are_passed),
        "points": entries,
        "speed_gates": sorted(speed_gates, key=lambda gate: (gate["point"], gate["name"], gate["subject"] or "")),
    }


def read_sweep(path: Path) -> Json:
    """The sweep.json at `path`.

    Raises `DataError`, in one line, for a file that is none or cannot be read, and for one whose points or files lie
    outside the sweep's folder: `--pick` says where they are.
    """
    found: Json = read_json_file(path, FORM)
    for point in found["points"]:
        for name in (point["folder"], *(each["file"] for each in point["artifacts"])):
            if not is_inside(name):
                raise refusal(FORM, path, f"points and files must have paths inside the sweep's folder, got {name}")
    return found


def _order(point: PointResult) -> tuple[str, float, int, str, str]:
    return point.arch or "", point.alpha or 0.0, point.resolution.pixels, point.conv or "", point.name


def _of_first_report(points: Sequence[PointResult], part: str, key: str) -> Any:
    return next((each.report[part][key] for each in points if each.report is not None), None)


def _point_json(point: PointResult, latencies: Mapping[str, FileLatency], speed_gates: Sequence[Json]) -> Json:
    report = point.report if point.exit_code in (EXIT_DONE, EXIT_GATE_FAILED) else None
    slow = [gate for gate in speed_gates if gate["point"] == point.name]
    failed_gates = [gate["name"] for gate in (*(report["gates"] if report else ()), *slow) if not gate["passed"]]
    is_passed = point.exit_code == EXIT_DONE and not failed_gates
    return {
        "name": point.name,
        "folder": point.folder,
        "arch": point.arch,
        "alpha": point.alpha,
        "resolution_px": point.resolution.json,
        "conv": point.conv,
        "mult_adds": point.mult_adds,
        "parameters": point.parameters,
        "status": FAILED if report is None else PASSED if is_passed else GATE_FAILED,
        "exit_code": point.exit_code,
        "failed_gates": list(dict.fromkeys(failed_gates)),
        "reason": point.reason,
        "attempts": point.attempts,
        "seconds": round(point.seconds, 1),
        "node": point.node,
        "command": list(point.command),
        "artifacts": [_artifact_json(each, point, latencies) for each in (report["artifacts"] if report else ())],
    }


def _artifact_json(entry: Json, point: PointResult, latencies: Mapping[str, FileLatency]) -> Json:
    latency = latencies.get(artifact_path(point.folder, entry["file"]))
    return {
        **{name: entry[name] for name in ("file", "format", "precision", "size_bytes", "top1", "top1_ci95")},
        "agreement": entry["agreement"],
        "latency_ms": None if latency is None else _latency_json(latency),
    }


def _latency_json(latency: FileLatency) -> Json:
    median = latency.median
    return {
        "p50": round(median.value, _DIGITS),
        "p90": round(latency.p90_ms, _DIGITS),
        "ci95": [round(median.low, _DIGITS), round(median.high, _DIGITS)],
    }


def _place_on_fronts(points: Sequence[Json]) -> None:
    """Give each artifact its place on each front among the files of its format; null where a figure is missing."""
    files = [(point, entry) for point in points for entry in point["artifacts"]]
    for _, entry in files:
        entry |= {name: dict.fromkeys(AXES) for name in ("front", "estimated", "dominated_by")}
    for file_format in {entry["format"] for _, entry in files}:
        for axis in AXES:
            entries = {
                artifact_path(point["folder"], entry["file"]): (entry, _cost(point, entry, axis))
                for point, entry in files
                if entry["format"] == file_format and entry["top1"] is not None
            }
            found = standings(
                [
                    Candidate(name=path, accuracy=_measured(entry["top1"], entry["top1_ci95"]), cost=cost)
                    for path, (entry, cost) in entries.items()
                    if cost is not None
                ]
            )
            for path, standing in found.items():
                entry, _ = entries[path]
                entry["front"][axis] = standing.status.value
                entry["estimated"][axis] = standing.is_estimated
                entry["dominated_by"][axis] = list(standing.dominated_by)


def _cost(point: Json, entry: Json, axis: str) -> Interval | None:
    if axis == "latency":
        latency = entry["latency_ms"]
        return None if latency is None else _measured(latency["p50"], latency["ci95"])
    return exact(entry["size_bytes"] if axis == "size" else point["mult_adds"])


def _measured(value: float, ci95: Sequence[float] | None) -> Interval:
    return exact(value) if ci95 is None else Interval(value=value, low=ci95[0], high=ci95[1])
