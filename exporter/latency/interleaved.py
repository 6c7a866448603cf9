"""Turns loaded artifacts into latencies that may be compared: interleaved in random order, with intervals."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.runtimes.runner import Runner

_RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds for one image: median, 90th and 99th percentile, over `runs` timed runs."""

    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Median of a over median of b, with a 95 % bootstrap interval: below 1, a is the faster one."""

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float]


def measure(
    runners: Sequence[Runner],
    feeds: Mapping[str, NDArray[Any]],
    *,
    runs: int,
    warmup: int,
    seed: int = 0,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of `runs` rounds; in each, every runner runs once, in a new random order.

    `feeds` holds a prepared batch for each runner's name. Slow moments of the machine thus hit
    all artifacts alike. The first `warmup` rounds are not counted.
    """
    rng = np.random.default_rng(seed)
    times = {runner.name: np.empty(runs) for runner in runners}
    for round_number in range(-warmup, runs):
        for index in rng.permutation(len(runners)):
            runner = runners[index]
            feed = feeds[runner.name]
            start = time.perf_counter()
            runner.invoke(feed)
            elapsed = time.perf_counter() - start
            if round_number >= 0:
                times[runner.name][round_number] = elapsed * 1000
        on_step(round_number + warmup + 1, runs + warmup, "rounds")
    return times


def summarize(times_ms: NDArray[np.float64]) -> Latency:
    """The percentiles of one artifact's times."""
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99])
    return Latency(runs=len(times_ms), p50_ms=float(p50), p90_ms=float(p90), p99_ms=float(p99))


def ratio_of_medians(times: Mapping[str, NDArray[np.float64]], a: str, b: str, *, seed: int = 0) -> Ratio:
    """Median(a) / median(b) and its 95 % interval, from resampled rounds (Efron 1979, percentile bootstrap).

    Whole rounds are drawn, so that what disturbed both in one round stays together.
    """
    rng = np.random.default_rng(seed)
    rounds = rng.integers(0, len(times[a]), size=(_RESAMPLES, len(times[a])))
    ratios = np.median(times[a][rounds], axis=1) / np.median(times[b][rounds], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(a=a, b=b, ratio=float(np.median(times[a]) / np.median(times[b])), ci95=(float(low), float(high)))
