"""A point of a sweep: one build with its own alpha, resolution and convolutions, and whether it is finished."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.files import Folder
from mbexport.fingerprint import tool_fingerprint
from mbexport.models.spec import NetworkSpec
from mbexport.pipeline.dry_run import PlannedRun, Status
from mbexport.provenance.manifest import MANIFEST
from mbexport.provenance.read_manifest import read_manifest
from mbexport.report.content import REPORT
from mbexport.seal import fields_of, sealed_json
from mbexport.sweep.job import Ended
from mbexport.workdir import PRIVATE, Workdir

LOGS: Final = "logs"
_RECORDS: Final = f"{PRIVATE}/points"
_MAX_RECORD_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One build of a sweep: its `name`, the `arguments` that `mbexport` is given for it, and what it would do.

    `local_arguments` are added to these; they change no byte of what is made.
    """

    name: str
    arguments: tuple[str, ...]
    local_arguments: tuple[str, ...]
    spec: NetworkSpec
    planned: PlannedRun

    @property
    def folder(self) -> Path:
        """Where the build writes."""
        return self.planned.plan.out


def point_name(spec: NetworkSpec) -> str:
    """The name of a point's folder: alpha and resolution, and behind them the variant where it is not the usual one."""
    return "_".join((str(float(spec.alpha)), str(spec.resolution), *spec.variant_names))


def in_turns(points: Sequence[Point]) -> list[Point]:
    """The points in the order in which they are built: the largest first, and neighbours of different resolutions.

    So none that takes long is left alone at the end; those that are built at once decode different images, and each
    later one finds its own in the cache.
    """
    by_side: dict[str, list[Point]] = {}
    for point in points:
        by_side.setdefault(str(point.spec.resolution), []).append(point)
    rows = [sorted(row, key=lambda point: -(point.planned.network.mult_adds or 0)) for row in by_side.values()]
    longest = max(map(len, rows), default=0)
    return [row[place] for place in range(longest) for row in rows if place < len(row)]


def remember(workdir: Workdir, point: Point, ended: Ended) -> None:
    """Record in the sweep's folder how a build ended, and what it left."""
    fields = {
        "identity": _identity(point),
        "manifest": Folder(point.folder).sha256(MANIFEST),
        "ended": {"code": ended.code, "attempts": ended.attempts, "seconds": ended.seconds, "node": ended.node},
    }
    workdir.write(f"{_RECORDS}/{point.name}.json", sealed_json(_purpose(point), fields))


def finished(workdir: Workdir, point: Point) -> Ended | None:
    """How the build ended that made the point, if it would be the same again; else None.

    That is so if it was asked for with the same words, each stage would be reused, and every file is as it was made.
    """
    if any(stage.status is not Status.REUSED for stage in point.planned.stages):
        return None
    try:
        content = workdir.folder.read(f"{_RECORDS}/{point.name}.json", limit_bytes=_MAX_RECORD_BYTES)
        record, folder = fields_of(_purpose(point), content), Folder(point.folder)
        if record["identity"] != _identity(point) or record["manifest"] != folder.sha256(MANIFEST):
            return None
        listed = read_manifest(point.folder / MANIFEST).files
        if any(folder.sha256(name) != facts.sha256 for name, facts in listed.items()):
            return None
        return Ended(name=point.name, **record["ended"])
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return None  # nothing was recorded, or it was changed: the build looks at each stage


def report_of_point(point: Point) -> Any:
    """The report in a point's folder; None where a build that failed left none."""
    try:
        return json.loads(Folder(point.folder).read(REPORT))
    except (OSError, ValueError):
        return None


def _identity(point: Point) -> str:
    """What decides a verdict beside the stages: all that was asked for, and the code that judges and delivers."""
    text = json.dumps([point.arguments, tool_fingerprint()])
    return hashlib.sha256(text.encode()).hexdigest()


def _purpose(point: Point) -> str:
    return f"point {point.name}"
