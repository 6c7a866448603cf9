"""Turns artifact files, made here or elsewhere, into their speeds side by side: what `mbexport bench` does."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.latency.machine import machine_json, usable_cores
from mbexport.latency.probing import probe_all
from mbexport.latency.sittings import Effort, Timings, time_artifacts
from mbexport.latency.throughput import Throughput, measure_throughput, throughput_of
from mbexport.latency.words import performance_json, ratio_json
from mbexport.limits import MAX_THREADS
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.report import Json, to_bytes
from mbexport.runtimes.opening import open_runner
from mbexport.runtimes.runner import Runner
from mbexport.verdict.measure import require_different_names
from mbexport.workdir import Workdir


def bench_files(
    files: Sequence[Path],
    *,
    threads: int | None,
    effort: Effort,
    batch: int,
    is_probed: bool = True,
    out: Path | None = None,
    progress: Progress,
) -> Json:
    """Latencies of `files` with one and with `threads` threads, all cores if None, and their ratios to the first.

    With them their throughputs and, if `is_probed`, what each costs in a process of its own. Goes to `bench.json` in
    the folder `out` too. Raises `DataError` for a file that cannot be loaded or run.
    """
    runners = [open_runner(path) for path in files]
    require_different_names(runners)
    most = min(usable_cores(), MAX_THREADS) if threads is None else threads
    progress.start("bench")
    probes = probe_all(files, on_step=progress.step) if is_probed else {}
    timings = time_artifacts(files, feeds_of(runners), threads=(1, most), effort=effort, on_step=progress.step)
    batches = measure_throughput(files, batch=batch, threads=most, on_step=progress.step)
    names = [runner.name for runner in runners]
    result = {
        "schema": 1,
        "threads": timings.threads[0],
        "artifacts": [
            {
                "file": runner.name,
                "runtime": runner.runtime,
                "precision": runner.precision.value,
                "size_bytes": runner.path.stat().st_size,
                **performance_json(
                    runner.name,
                    timings,
                    probe=probes.get(runner.name),
                    throughputs=_throughputs(runner, timings, batches, most),
                ),
            }
            for runner in runners
        ],
        "ratios": [ratio_json(timings.ratio(name, names[0], count)) for count in timings.threads for name in names[1:]],
        "machine": machine_json(timings.conditions),
    }
    content = to_bytes(result)
    if out is not None:
        with Workdir.open(out) as workdir:
            workdir.write("bench.json", content)
    loaded: Json = json.loads(content)
    return loaded


def feeds_of(runners: Sequence[Runner]) -> dict[str, NDArray[Any]]:
    """Random bytes as images, prepared as each runner takes them, by its name: they take as long as any others."""
    rng = np.random.default_rng(0)
    feeds = {}
    for runner in runners:
        preprocess = Preprocess(resolution_px=runner.resolution_px, channels=runner.channels)
        pixels = rng.integers(0, 256, (runner.batch, *preprocess.shape), dtype=np.uint8)
        feeds[runner.name] = runner.prepare(pixels, preprocess)
    return feeds


def _throughputs(
    runner: Runner, timings: Timings, batches: Mapping[str, Throughput], threads: int
) -> tuple[Throughput, ...]:
    """With as many images at a time as the file says, and in the batch that was asked for."""
    own = throughput_of(timings.latency(runner.name, threads), batch=runner.batch, threads=threads)
    asked = batches[runner.name]
    return (asked,) if asked.batch == own.batch else (own, asked)
