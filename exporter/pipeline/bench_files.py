"""Time artifact files side by side: the work of `mbexport bench`."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import MAX_THREADS
from mbexport.fingerprint import usable_cores
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner, give_distinct_names
from mbexport.formats.trial import require_harmless
from mbexport.latency.feeds import random_feed
from mbexport.latency.machine import machine_json
from mbexport.latency.performance import Performance, measure_performance, ratio_json
from mbexport.latency.sittings import Effort
from mbexport.pipeline.bench_device import Phone, prepared
from mbexport.pipeline.publish import add, require_room
from mbexport.progress import Progress
from mbexport.report.content import Json, to_bytes
from mbexport.workdir import Workdir

_RESULT: Final = "bench.json"


def bench_files(
    files: Sequence[Path],
    *,
    threads: int | None,
    effort: Effort,
    batch: int,
    is_probed: bool = True,
    out: Path | None = None,
    force: bool = False,
    phone: Phone | None = None,
    progress: Progress,
) -> Json:
    """Latencies of `files` on one and on `threads` threads, all cores if None, and their ratios to the first file.

    Throughputs are measured too and, if `is_probed`, cold start and memory of each file in a process of its own. The
    result is also written to `bench.json` in the folder `out`, if one is given; one there that is not ours is replaced
    with `force` only. The files that a `phone` can run are timed there, too. Raises `DataError` for a file that cannot
    be loaded or run, `OutputError` for an `out` that cannot be used, and as `prepared` and `Prepared.measure` do.
    """
    if out is not None:
        require_room(Workdir(out), [_RESULT], force=force, adds=True)
    require_harmless(files)
    runners = [open_runner(path) for path in files]
    give_distinct_names(runners)
    # What the device cannot run is said before the minutes that this machine takes, in which the device is at rest.
    with nullcontext() if phone is None else prepared(phone, runners, threads=threads) as on_phone:
        progress.start("bench")
        performance = measure_performance(
            runners,
            feeds_of(runners),
            threads=min(usable_cores(), MAX_THREADS) if threads is None else threads,
            effort=effort,
            batch=batch,
            is_probed=is_probed,
            on_step=progress.step,
        )
        android = None if on_phone is None else on_phone.measure(effort, progress.step)
    content = to_bytes({**_bench_json(runners, performance), "android": android})
    if out is not None:
        with Workdir.open(out) as workdir:
            add(workdir, {_RESULT: content}, force=force)
    loaded: Json = json.loads(content)
    return loaded


def _bench_json(runners: Sequence[Runner], performance: Performance) -> Json:
    names = [runner.name for runner in runners]
    timings = performance.timings
    return {
        "schema": 1,
        "threads": timings.threads[0],
        "artifacts": [
            {
                "file": runner.name,
                "runtime": runner.runtime,
                "precision": runner.precision.value,
                "size_bytes": runner.path.stat().st_size,
                **performance.artifact(runner.name),
            }
            for runner in runners
        ],
        "ratios": [ratio_json(timings.ratio(name, names[0], count)) for count in timings.threads for name in names[1:]],
        "machine": machine_json(timings.conditions),
    }


def feeds_of(runners: Sequence[Runner]) -> dict[str, NDArray[Any]]:
    """Random images, prepared for each runner, by its name: they take as long as any other images."""
    rng = np.random.default_rng(0)
    return {runner.name: random_feed(runner, rng) for runner in runners}
