"""Time files in several sittings: each loads every file anew and interleaves their runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import OptionError
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.latency.interleaved import Latency, Ratio, measure, summarize
from mbexport.latency.intervals import MIN_SITTINGS, Interval, Times, median_interval, ratio_interval
from mbexport.latency.machine import Conditions, Watch

_SITTINGS: Final = 20
_TRIALS: Final = 3
_UNLIMITED: Final = 2**31

OnStep = Callable[[int, int, str], None]


class Opener(Protocol):
    """A function that loads a file."""

    def __call__(self, path: Path, *, threads: int) -> Runner:
        """Load the file anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to time: `runs` runs of each artifact over all `sittings`, after `warmup` runs in each sitting.

    An artifact whose runs would take longer than `budget_ms` in a sitting gets fewer of both, at least one. Raises
    `OptionError` for fewer sittings than an interval needs, or a budget that is not positive.
    """

    sittings: int = _SITTINGS
    runs: int = 400
    warmup: int = 2
    budget_ms: float = 45

    def __post_init__(self) -> None:
        if not MIN_SITTINGS <= self.sittings <= self.runs:
            raise OptionError(
                f"there must be at least {MIN_SITTINGS} sittings with a run in each, got {self.runs} runs in "
                f"{self.sittings} sittings"
            )
        if not self.warmup >= 0 or not self.budget_ms > 0:
            raise OptionError(
                f"warmup must be at least 0 and budget_ms positive, got {self.warmup} and {self.budget_ms:g}"
            )

    def runs_in(self, sitting: int) -> int:
        """The runs in the sitting of that number, from 0."""
        each, rest = divmod(self.runs, self.sittings)
        return each + (sitting < rest)


FULL: Final = Effort()


def fixed_effort(runs: int, *, warmup: int) -> Effort:
    """Exactly `runs` timed runs of every artifact, however long they take. Raises `OptionError` for fewer than two."""
    return Effort(sittings=min(_SITTINGS, runs), runs=runs, warmup=warmup, budget_ms=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds of every run, by artifact and number of threads, and what else the machine did meanwhile."""

    times_ms: Mapping[tuple[str, int], Times]
    conditions: Conditions

    @property
    def threads(self) -> tuple[int, ...]:
        """The numbers of threads that were timed, the smallest first."""
        return tuple(sorted({threads for _, threads in self.times_ms}))

    def latency(self, name: str, threads: int = 1) -> Latency:
        """The percentiles of one artifact's runs in all sittings."""
        return summarize(np.concatenate(self.times_ms[name, threads]))

    def median(self, name: str, threads: int = 1) -> Interval:
        """The typical median of the sittings in milliseconds, with an interval that covers other sittings too."""
        return median_interval(self.times_ms[name, threads])

    def ratio(self, a: str, b: str, threads: int = 1) -> Ratio:
        """The typical median(a) / median(b) of the sittings, with an interval that covers other sittings too."""
        ratio = ratio_interval(self.times_ms[a, threads], self.times_ms[b, threads])
        return Ratio(a=a, b=b, ratio=ratio.value, ci95=(ratio.low, ratio.high), threads=threads)


def time_artifacts(
    files: Mapping[str, Path],
    feeds: Mapping[str, NDArray[Any]],
    *,
    threads: Sequence[int] = (1,),
    effort: Effort = FULL,
    seed: int = 0,
    on_step: OnStep = lambda _done, _total, _text: None,
    open_file: Opener = open_runner,
) -> Timings:
    """Time every one of `files`, by name, on each number of threads; `feeds` holds a prepared batch by each name.

    In each sitting all files are loaded anew, in random order, and timed in interleaved rounds: where a file's buffers
    come to lie differs from sitting to sitting, and must not count as a property of the file. Raises `DataError` for a
    file that cannot be loaded or run.
    """
    rng, named, watch = np.random.default_rng(seed), list(files.items()), Watch.start()
    times: dict[tuple[str, int], Times] = {}
    sittings = [(count, sitting) for count in dict.fromkeys(threads) for sitting in range(effort.sittings)]
    most: dict[str, int] = {}
    for place, (count, sitting) in enumerate(sittings):
        order = [named[index] for index in rng.permutation(len(named))]
        runners = [_Loaded(name=name, invoke=open_file(path, threads=count).invoke) for name, path in order]
        if sitting == 0:
            most = {runner.name: _affordable(runner, feeds[runner.name], effort.budget_ms) for runner in runners}
        measured = measure(
            runners,
            feeds,
            runs={name: min(limit, effort.runs_in(sitting)) for name, limit in most.items()},
            warmup={name: min(limit, effort.warmup) for name, limit in most.items()},
            seed=int(rng.integers(2**32)),
            on_step=partial(_step, on_step, place, len(sittings)),
        )
        del runners  # before the next ones are loaded, which would take twice the memory
        for name, values in measured.items():
            times[name, count] = (*times.get((name, count), ()), values)
    return Timings(times_ms=times, conditions=watch.conditions(times))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A loaded file under the name by which its times are kept: two folders may hold files of one name."""

    name: str
    invoke: Callable[[NDArray[Any]], Any]


def _step(on_step: OnStep, place: int, sittings: int, done: int, total: int, _text: str) -> None:
    """Report progress after a round; a sitting counts when its last round is over."""
    on_step(place + (done == total), sittings, "sittings")


def _affordable(runner: _Loaded, feed: NDArray[Any], budget_ms: float) -> int:
    """The number of runs that fit into the budget, by the median of a few trials; at least one."""
    if budget_ms == math.inf:
        return _UNLIMITED
    (times,) = measure([runner], {runner.name: feed}, runs=_TRIALS, warmup=1).values()
    return max(1, int(budget_ms / float(np.median(times))))
