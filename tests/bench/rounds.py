"""Run several things in turns, in rounds of a new order each, so that a slow moment of the machine hits all alike."""

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mbexport.latency.interleaved import ratio_of_medians

Seconds = dict[str, NDArray[np.float64]]


def interleaved(runs: Mapping[str, Callable[[int], None]], rounds: int) -> tuple[Seconds, Seconds]:
    """Seconds of each run in each round, by the clock and of all cores, in a new order each time.

    The first round warms up and is not counted. What the cores did says something on a busy machine too.
    """
    rng = np.random.default_rng(0)
    seconds, cpu_seconds = ({name: np.empty(rounds) for name in runs} for _ in range(2))
    for number in range(-1, rounds):
        for name in rng.permutation(list(runs)).tolist():
            start, cpu_start = time.perf_counter(), time.process_time()
            runs[name](number + 1)
            if number >= 0:
                seconds[name][number] = time.perf_counter() - start
                cpu_seconds[name][number] = time.process_time() - cpu_start
    return seconds, cpu_seconds


def print_rates(seconds: Seconds, cpu_seconds: Seconds, *, images: int, beside: str) -> None:
    """Images a second of each run, and how its speed is to that of the run `beside`."""
    for name in seconds:
        faster = ratio_of_medians(seconds, beside, name)
        rate = images / np.median(seconds[name])
        cpu_ms = np.median(cpu_seconds[name]) / images * 1000
        low, high = faster.ci95
        print(
            f"  {name:<22} {rate:5.0f} images/s  x {faster.ratio:.2f} [{low:.2f}, {high:.2f}]  {cpu_ms:.2f} CPU ms each"
        )
