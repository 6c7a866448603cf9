"""Benchmark sweeps: a grid with several jobs at once beside the same grid with one, in turns.

Run by `make bench-sweep`. Efficiency is the seconds of one job at a time over those of N at once times N: 1 where the
jobs do not disturb each other. Each build has one thread; nothing is timed, so that only builds count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbexport.latency.interleaved import ratio_of_medians

GRID: Final = ("--alpha", "0.25,0.5,0.75,1", "--resolution", "32,64", "--epochs", "2", "--int8", "--no-latency")
QUICK: Final = ("--alpha", "0.1,0.2", "--resolution", "32", "--epochs", "1", "--precision", "fp32", "--no-latency")
SECRET: Final = "the benchmark's own secret, which everybody knows"


def main() -> int:
    """Print the seconds of both, the efficiency, and how much of the time points ran at once."""
    parser = argparse.ArgumentParser(description="How much several jobs at once save.")
    parser.add_argument("--quick", action="store_true", help="two small points, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    rounds, grid = (1, QUICK) if given.quick else (given.rounds, GRID)
    names = {1: "one at a time", given.jobs: f"{given.jobs} at once"}
    seconds: dict[str, list[float]] = {name: [] for name in names.values()}
    for number in range(rounds):
        for jobs in np.random.default_rng(number).permutation(list(names)).tolist():
            took, document = sweep(grid, jobs)
            seconds[names[jobs]].append(took)
            busy = sum(point["seconds"] for point in document["points"]) / (jobs * took)
            print(
                f"  round {number + 1}, {names[jobs]:<14} {took:7.1f} s, {busy:.1%} of it with all jobs busy",
                flush=True,
            )
    times = {name: np.array(values) for name, values in seconds.items()}
    ratio = ratio_of_medians(times, *names.values())
    efficiency, low, high = (each / given.jobs for each in (ratio.ratio, *ratio.ci95))
    print(f"efficiency of {given.jobs} jobs: {efficiency:.3f} [{low:.3f}, {high:.3f}]")
    return 0


def sweep(grid: tuple[str, ...], jobs: int) -> tuple[float, Any]:
    """The seconds of a sweep from nothing, and its sweep.json."""
    environment = {"TF_NUM_INTRAOP_THREADS": "1", "MBEXPORT_CACHE_SECRET": SECRET}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mbexport", "sweep", *grid, "--jobs", str(jobs), "--out", "sweep"]
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        took = time.perf_counter() - start
        if done.returncode not in (0, 1):
            sys.exit(done.stderr)
        return took, json.loads((Path(folder) / "sweep" / "sweep.json").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
