"""Time loaded artifacts so that their latencies may be compared: rounds in random order, with intervals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

_RESAMPLES: Final = 2000
PERCENTS: Final = tuple(range(0, 101, 5))


class Timed(Protocol):
    """Something loaded that runs on a prepared batch."""

    @property
    def name(self) -> str:
        """The name by which its times are kept."""

    @property
    def invoke(self) -> Callable[[NDArray[Any]], Any]:
        """One inference on a prepared batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one inference: median, 90th and 99th percentile, over `runs` timed runs.

    `percentiles_ms` are those of `PERCENTS`, from the shortest to the longest run.
    """

    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    percentiles_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Median latency of a over that of b, with a 95 % bootstrap interval: below 1, a is the faster one."""

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float]
    threads: int = 1


def measure(
    runners: Sequence[Timed],
    feeds: Mapping[str, NDArray[Any]],
    *,
    runs: int | Mapping[str, int],
    warmup: int | Mapping[str, int],
    seed: int = 0,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> dict[str, NDArray[np.float64]]:
    """Time interleaved rounds, in milliseconds: in each, every runner runs once, in a new random order.

    Slow moments of the machine thus hit all artifacts alike. `feeds` holds a prepared batch by each runner's name. The
    `warmup` rounds at the start are not counted. `runs` and `warmup` may differ by the runner's name: a runner with
    fewer runs than others takes part in that many rounds, chosen at random.
    """
    rng = np.random.default_rng(seed)
    counts = [runs if isinstance(runs, int) else runs[runner.name] for runner in runners]
    warmups = [warmup if isinstance(warmup, int) else warmup[runner.name] for runner in runners]
    rounds = [*_rounds(warmups, rng), *_rounds(counts, rng)]
    times: dict[str, list[float]] = {runner.name: [] for runner in runners}
    for round_number, order in enumerate(rounds):
        for index in order:
            name, invoke = runners[index].name, runners[index].invoke
            feed = feeds[name]
            start = time.perf_counter()
            invoke(feed)
            elapsed = time.perf_counter() - start
            if round_number >= max(warmups):
                times[name].append(elapsed * 1000)
        on_step(round_number + 1, len(rounds), "rounds")
    return {name: np.array(values) for name, values in times.items()}


def summarize(times_ms: NDArray[np.float64]) -> Latency:
    """The percentiles of one artifact's times."""
    p50, p90, p99, *others = np.percentile(times_ms, [50, 90, 99, *PERCENTS])
    return Latency(
        runs=len(times_ms),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        percentiles_ms=tuple(map(float, others)),
    )


def ratio_of_medians(times: Mapping[str, NDArray[np.float64]], a: str, b: str, *, seed: int = 0) -> Ratio:
    """Median(a) / median(b) and its 95 % interval, from resampled rounds (Efron 1979, percentile bootstrap).

    Whole rounds are drawn, so that what disturbed both in one round stays together. The interval covers what else might
    have been measured in this sitting; that of `Timings.ratio` covers other sittings too.
    """
    rng = np.random.default_rng(seed)
    rounds = rng.integers(0, len(times[a]), size=(_RESAMPLES, len(times[a])))
    ratios = np.median(times[a][rounds], axis=1) / np.median(times[b][rounds], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(a=a, b=b, ratio=float(np.median(times[a]) / np.median(times[b])), ci95=(float(low), float(high)))


def _rounds(counts: Sequence[int], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Which runners run in each round, in which order: each in as many rounds as its count, drawn at random."""
    rounds = max(counts)
    runs = np.stack([rng.permutation(rounds) < count for count in counts])
    return [rng.permutation(np.flatnonzero(runs[:, place])) for place in range(rounds)]
