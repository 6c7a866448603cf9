"""Turns artifacts into what a report says of their speed, each of them alone with the machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.artifact import Precision, ReadFormat
from mbexport.latency.machine import machine_json, usable_cores
from mbexport.latency.performance import Performance, performance_of
from mbexport.latency.words import ratio_json
from mbexport.limits import MAX_THREADS
from mbexport.models.preprocess import Pixels
from mbexport.progress import Progress
from mbexport.runtimes.opening import format_of
from mbexport.runtimes.subject import Subject

Json = dict[str, Any]

_UNTIMED: Final[Json] = {
    "latency_ms": {"p50": None, "p90": None, "p99": None, "runs": 0, "percentiles": []},
    "threads": [],
    "cold_start_ms": None,
    "peak_memory_bytes": None,
    "throughput": [],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was timed; `performance` is None where nothing was."""

    performance: Performance | None = None

    def artifact(self, name: str) -> Json:
        """What the entry of the artifact says of its speed."""
        if self.performance is None or name not in self.performance.throughputs:
            return dict(_UNTIMED)
        return self.performance.artifact(name)

    def pair(self, a: str, b: str) -> Json:
        """The ratio of two artifacts' medians, with one thread."""
        if self.performance is None or not {a, b} <= set(self.performance.throughputs):
            return {"latency_ratio": None, "latency_ratio_ci95": None}
        found = ratio_json(self.performance.timings.ratio(a, b))
        return {name: found[name] for name in ("latency_ratio", "latency_ratio_ci95")}

    def speedups(self, subjects: Sequence[Subject]) -> list[Json]:
        """Every fp32 artifact over every int8 artifact of its format, with each number of threads."""
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
        """Where this was measured, and what else the machine did meanwhile."""
        return machine_json(self.performance.timings.conditions if self.performance else None)


def speed_of(subjects: Sequence[Subject], pixels: Pixels, *, threads: int, seed: int, progress: Progress) -> Speed:
    """The speed of all artifacts on an image (1, px, px, channels), with one thread and with `threads`, all cores if 1.

    Keras files are not timed: no app runs them. Raises `DataError` for one that cannot be run in a new process.
    """
    timed = [subject for subject in subjects if format_of(subject.runner.path) is not ReadFormat.KERAS]
    if not timed:
        return Speed()
    return Speed(
        performance=performance_of(
            [subject.runner for subject in timed],
            {each.name: each.feeds(pixels.repeat(each.runner.batch, axis=0)) for each in timed},
            threads=threads if threads > 1 else min(usable_cores(), MAX_THREADS),
            seed=seed,
            on_step=progress.step,
        )
    )


def _same_format(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, Subject]]:
    for fp32 in subjects:
        for int8 in subjects:
            precisions = (fp32.runner.precision, int8.runner.precision)
            if precisions == (Precision.FP32, Precision.INT8) and _is_one_format(fp32.runner.path, int8.runner.path):
                yield fp32, int8


def _is_one_format(a: Path, b: Path) -> bool:
    return format_of(a) is format_of(b) and format_of(a) is not ReadFormat.KERAS
