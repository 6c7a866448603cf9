"""Turns opened artifacts into all that is measured of their speed, one thing at a time: nothing else runs meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mbexport.latency.probing import Probe, probe_all
from mbexport.latency.sittings import FULL, Effort, Timings, time_artifacts
from mbexport.latency.throughput import BATCH, Throughput, measure_throughput, throughput_of
from mbexport.latency.words import performance_json
from mbexport.runtimes.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Times of each artifact; what it costs in processes of its own, if that was asked for; images per second."""

    timings: Timings
    throughputs: Mapping[str, tuple[Throughput, ...]]
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def artifact(self, name: str) -> dict[str, Any]:
        """What the entry of the artifact says of its speed."""
        return performance_json(name, self.timings, probe=self.probes.get(name), throughputs=self.throughputs[name])


def performance_of(
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
    """Every artifact with one and with `threads` threads; `feeds` holds a prepared batch for each one's name.

    Throughputs are of the file's own batch and of `batch` images. Raises `DataError` for a file that cannot be loaded
    or run in a process of its own.
    """
    paths = [runner.path for runner in runners]
    probes = probe_all(paths, seed=seed, on_step=on_step) if is_probed else {}
    timings = time_artifacts(paths, feeds, threads=(1, threads), effort=effort, seed=seed, on_step=on_step)
    batches = measure_throughput(paths, batch=batch, threads=threads, seed=seed, on_step=on_step)
    return Performance(
        timings=timings,
        probes=probes,
        throughputs={runner.name: _throughputs(runner, timings, batches[runner.name], threads) for runner in runners},
    )


def _throughputs(runner: Runner, timings: Timings, asked: Throughput, threads: int) -> tuple[Throughput, ...]:
    """With as many images at a time as the file says, and in the batch that was asked for."""
    own = throughput_of(timings.latency(runner.name, threads), batch=runner.batch, threads=threads)
    return (asked,) if asked.batch == own.batch else (own, asked)
