"""Measure how fast artifacts are, one thing at a time: latencies, cold starts, memory, throughputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.errors import MAX_THREADS
from mbexport.fingerprint import usable_cores
from mbexport.formats.registry import format_of
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Fed
from mbexport.latency.interleaved import PERCENTS, Latency, Ratio
from mbexport.latency.machine import machine_json
from mbexport.latency.probe import Probe, probe_all
from mbexport.latency.sittings import FULL, Effort, Timings, time_artifacts
from mbexport.latency.throughput import BATCH, Throughput, measure_throughput, throughput_of
from mbexport.models.preprocess import Pixels
from mbexport.progress import Progress

Json = dict[str, Any]

_UNTIMED: Final[Json] = {
    "latency_ms": {"p50": None, "p90": None, "p99": None, "runs": 0, "percentiles": []},
    "threads": [],
    "cold_start_ms": None,
    "peak_memory_bytes": None,
    "throughput": [],
}


def performance_json(
    name: str, timings: Timings, *, probe: Probe | None = None, throughputs: Sequence[Throughput] = ()
) -> Json:
    """The speed in an artifact's entry; `latency_ms` is that on the fewest threads."""
    return {
        "latency_ms": latency_json(timings.latency(name, timings.threads[0])),
        "threads": [threads_json(timings.latency(name, each), each) for each in timings.threads],
        "cold_start_ms": None if probe is None else cold_start_json(probe),
        "peak_memory_bytes": None if probe is None else probe.peak_memory_bytes,
        "throughput": [throughput_json(each) for each in throughputs],
    }


def latency_json(latency: Latency) -> Json:
    """Percentiles in milliseconds, rounded to a microsecond."""
    return {
        "p50": round(latency.p50_ms, 3),
        "p90": round(latency.p90_ms, 3),
        "p99": round(latency.p99_ms, 3),
        "runs": latency.runs,
        "percentiles": [
            [percent, round(value, 3)] for percent, value in zip(PERCENTS, latency.percentiles_ms, strict=False)
        ],
    }


def threads_json(latency: Latency, threads: int) -> Json:
    """The latency on `threads` threads, without its distribution."""
    percentiles = latency_json(latency)
    return {"threads": threads, **{key: percentiles[key] for key in ("p50", "p90", "p99", "runs")}}


def cold_start_json(probe: Probe) -> Json:
    """The time to the first answer of a fresh process in milliseconds, without the import of the runtime."""
    return {
        "load": round(probe.load_ms, 3),
        "first_inference": round(probe.first_inference_ms, 3),
        "total": round(probe.total_ms, 3),
        "processes": probe.processes,
    }


def throughput_json(throughput: Throughput) -> Json:
    """Images per second, or the reason why the file was not timed."""
    rate = throughput.images_per_s
    return {
        "batch": throughput.batch,
        "threads": throughput.threads,
        "images_per_s": None if rate is None else round(rate, 1),
        "reason": throughput.reason,
    }


def ratio_json(ratio: Ratio) -> Json:
    """The ratio of two medians, with its interval."""
    return {
        "a": ratio.a,
        "b": ratio.b,
        "latency_ratio": ratio.ratio,
        "latency_ratio_ci95": list(ratio.ci95),
        "threads": ratio.threads,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Latencies and throughputs of each artifact, and its cold start and memory if these were measured."""

    timings: Timings
    throughputs: Mapping[str, tuple[Throughput, ...]]
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def artifact(self, name: str) -> dict[str, Any]:
        """The speed in the entry of the artifact."""
        return performance_json(name, self.timings, probe=self.probes.get(name), throughputs=self.throughputs[name])


def measure_performance(
    runners: Sequence[Runner],
    feeds: Mapping[str, NDArray[Any]],
    *,
    threads: int,
    effort: Effort = FULL,
    batch: int = BATCH,
    is_probed: bool = True,
    seed: int = 0,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> Performance:
    """Measure every artifact on one and on `threads` threads; `feeds` holds a prepared batch by each one's name.

    Throughputs are those of the file's own batch and of `batch` images. Raises `DataError` for a file that cannot be
    loaded or run in a process of its own.
    """
    files = {runner.name: runner.path for runner in runners}
    probes = probe_all(files, seed=seed, on_step=on_step) if is_probed else {}
    timings = time_artifacts(files, feeds, threads=(1, threads), effort=effort, seed=seed, on_step=on_step)
    batches = measure_throughput(files, batch=batch, threads=threads, seed=seed, on_step=on_step)
    return Performance(
        timings=timings,
        probes=probes,
        throughputs={runner.name: _throughputs(runner, timings, batches[runner.name], threads) for runner in runners},
    )


def _throughputs(runner: Runner, timings: Timings, measured: Throughput, threads: int) -> tuple[Throughput, ...]:
    """With the file's own batch, and with that of `measured` if it is another."""
    own = throughput_of(timings.latency(runner.name, threads), batch=runner.batch, threads=threads)
    return (measured,) if measured.batch == own.batch else (own, measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed of artifacts in the words of a report; `performance` is None where nothing was timed."""

    performance: Performance | None = None

    def artifact(self, name: str) -> Json:
        """The speed in the entry of the artifact."""
        if self.performance is None or name not in self.performance.throughputs:
            return dict(_UNTIMED)
        return self.performance.artifact(name)

    def pair(self, a: str, b: str) -> Json:
        """The ratio of two artifacts' medians, on one thread."""
        if self.performance is None or not {a, b} <= set(self.performance.throughputs):
            return {"latency_ratio": None, "latency_ratio_ci95": None}
        ratio = ratio_json(self.performance.timings.ratio(a, b))
        return {name: ratio[name] for name in ("latency_ratio", "latency_ratio_ci95")}

    def speedups(self, subjects: Sequence[Fed]) -> list[Json]:
        """The ratio of every fp32 artifact to every int8 artifact of its format, on each number of threads.

        Files with other outputs are not compared: what they leave to apps takes time there.
        """
        if self.performance is None:
            return []
        timings = self.performance.timings
        return [
            ratio_json(timings.ratio(fp32.name, int8.name, threads))
            for threads in timings.threads
            for fp32, int8 in _same_format(subjects)
        ]

    @property
    def machine(self) -> Json:
        """The machine on which this was measured, and what else it did meanwhile."""
        return machine_json(self.performance.timings.conditions if self.performance else None)


def measure_speed(subjects: Sequence[Fed], pixels: Pixels, *, threads: int, seed: int, progress: Progress) -> Speed:
    """Time all artifacts on an image (1, h, w, channels), on one and on `threads` threads, all cores if that is 1.

    Keras files are not timed: no app runs them. Raises `DataError` for one that cannot be run in a new process.
    """
    timed = [subject for subject in subjects if format_of(subject.runner.path).load is not None]
    if not timed:
        return Speed()
    return Speed(
        performance=measure_performance(
            [subject.runner for subject in timed],
            {each.name: each.feeds(pixels.repeat(each.runner.batch, axis=0)) for each in timed},
            threads=threads if threads > 1 else min(usable_cores(), MAX_THREADS),
            seed=seed,
            on_step=progress.step,
        )
    )


def _same_format(subjects: Sequence[Fed]) -> Iterator[tuple[Fed, Fed]]:
    for fp32 in subjects:
        for int8 in subjects:
            slow, fast = fp32.runner, int8.runner
            is_gain = (slow.precision, fast.precision) == (Precision.FP32, Precision.INT8)
            if is_gain and len(slow.outputs) == len(fast.outputs) and _is_one_format(slow.path, fast.path):
                yield fp32, int8


def _is_one_format(a: Path, b: Path) -> bool:
    return format_of(a) is format_of(b) and format_of(a).load is not None
