"""Time the files of all points side by side, once they are all built: nothing else of the sweep runs meanwhile."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mbexport.artifact import Precision
from mbexport.files import sha256_of
from mbexport.fingerprint import code_fingerprint
from mbexport.formats.registry import open_runner
from mbexport.latency.feeds import random_feed
from mbexport.latency.intervals import Interval
from mbexport.latency.machine import machine_json
from mbexport.latency.performance import ratio_json
from mbexport.latency.sittings import Timings, time_artifacts
from mbexport.progress import Progress
from mbexport.seal import fields_of, sealed_json
from mbexport.sweep.results import FileLatency, Json, PointResult, artifact_path, latencies_of
from mbexport.workdir import PRIVATE, Workdir

STAGE: Final = "bench"
_RECORD: Final = f"{PRIVATE}/bench.json"
_MAX_RECORD_BYTES: Final = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What was timed: latencies by `artifact_path`, fp32 over int8 of each point and format, and on what machine."""

    latencies: Mapping[str, FileLatency]
    speedups: Mapping[str, Sequence[Json]]
    machine: Json
    threads: int


def time_points(workdir: Workdir, points: Sequence[PointResult], threads: int, *, progress: Progress) -> Timed | None:
    """Time every artifact of every point in interleaved rounds; None if there is none.

    What was timed before on this machine is not timed again while all files are the same ones. Raises `DataError` for a
    file that cannot be run.
    """
    files = {path: workdir.root / path for path in _artifacts(points)}
    if not files:
        return None
    identity = _identity(files, threads)
    found = _remembered(workdir, identity)
    if found is None:
        progress.start(STAGE)
        feeds = {path: random_feed(open_runner(file), np.random.default_rng(0)) for path, file in files.items()}
        timings = time_artifacts(files, feeds, threads=(threads,), on_step=progress.step)
        found = _timed(points, timings, threads)
        workdir.write(_RECORD, sealed_json(STAGE, {"identity": identity, "timed": _to_json(found)}))
    return found


def _artifacts(points: Sequence[PointResult]) -> Iterator[str]:
    for point in points:
        for entry in point.report["artifacts"] if point.report else ():
            yield artifact_path(point.folder, entry["file"])


def _timed(points: Sequence[PointResult], timings: Timings, threads: int) -> Timed:
    return Timed(
        latencies=latencies_of(timings, threads=threads),
        speedups={point.name: list(_speedups(point, timings, threads)) for point in points if point.report},
        machine=machine_json(timings.conditions),
        threads=threads,
    )


def _speedups(point: PointResult, timings: Timings, threads: int) -> Iterator[Json]:
    """fp32 over int8 of each format, as a report has them."""
    assert point.report is not None
    entries = point.report["artifacts"]
    for fp32 in entries:
        for int8 in entries:
            precisions = (fp32["precision"], int8["precision"])
            if precisions == (Precision.FP32.value, Precision.INT8.value) and fp32["format"] == int8["format"]:
                slow, fast = (artifact_path(point.folder, each["file"]) for each in (fp32, int8))
                ratio = ratio_json(timings.ratio(slow, fast, threads))
                yield {**ratio, "a": fp32["file"], "b": int8["file"]}


def _identity(files: Mapping[str, Path], threads: int) -> Json:
    """What decides latencies, as far as it can be known: the files, the code that times them, the machine."""
    machine = machine_json()
    return {
        "files": {path: sha256_of(file) for path, file in files.items()},
        "threads": threads,
        "code": code_fingerprint(),
        "machine": {name: machine[name] for name in ("system", "cpu", "cores", "flags", "python")},
    }


def _remembered(workdir: Workdir, identity: Json) -> Timed | None:
    try:
        record = fields_of(STAGE, workdir.folder.read(_RECORD, limit_bytes=_MAX_RECORD_BYTES))
        if record["identity"] != json.loads(json.dumps(identity)):
            return None
        timed = record["timed"]
        return Timed(
            latencies={
                path: FileLatency(median=Interval(**each["median"]), p90_ms=each["p90_ms"])
                for path, each in timed["latencies"].items()
            },
            speedups=timed["speedups"],
            machine=timed["machine"],
            threads=timed["threads"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing was timed, or somebody else wrote it


def _to_json(timed: Timed) -> Json:
    return {
        "latencies": {path: asdict(each) for path, each in timed.latencies.items()},
        "speedups": timed.speedups,
        "machine": timed.machine,
        "threads": timed.threads,
    }
