"""Benchmark verification: six artifacts on real images, time side by side and memory.

Run by `make bench-verify ARGS="FOLDER"` on a folder that `mbexport build` or `export` made with the precisions fp32,
fp16 and int8. Ways are compared within interleaved rounds, as `mbexport bench` does for artifacts.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from verification import Task, task_of

from mbexport.errors import EXIT_BAD_INPUT
from mbexport.latency.interleaved import ratio_of_medians
from mbexport.models.data.open import iter_pixels
from mbexport.verification.classification.comparison import verify

ROOT: Final = Path(__file__).resolve().parents[2]
SERIAL, SIDE_BY_SIDE, REFERENCE = "one after the other", "side by side", "reference alone"
IMAGES, TIMES = 500, 10
SECONDS: Final = 90.0  # that verification may take beyond the reference's own time


def main() -> int:
    """Prints both tables; the exit code is 2 without the shared data."""
    given = _arguments()
    named = os.environ.get("MBEXPORT_SHARED_DATA")
    imagenet = (Path(named) if named else ROOT.parent / "shared" / "data") / "imagenet"
    if not imagenet.is_dir():
        print("real images are needed: set MBEXPORT_SHARED_DATA to their folder", file=sys.stderr)
        return EXIT_BAD_INPUT
    speed_table(task_of(given.folder, imagenet, given.images), rounds=given.rounds)
    memory_table(given.folder, imagenet, given.images)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Six artifacts verified; takes some minutes.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what a build of fp32, fp16 and int8 made")
    parser.add_argument("--rounds", type=int, default=5, help="in each, every way is timed once")
    parser.add_argument(
        "--images", type=int, default=IMAGES, help=f"{IMAGES} if absent; memory also for {TIMES} times as many"
    )
    return parser.parse_args()


def speed_table(task: Task, *, rounds: int) -> None:
    """Seconds of each way, the ratio of both ways, and what is left beyond the reference."""
    runs: dict[str, Callable[[], None]] = {
        SERIAL: lambda: serial(task),
        SIDE_BY_SIDE: lambda: side_by_side(task),
        REFERENCE: lambda: reference_alone(task),
    }
    seconds, cpu_seconds = interleaved(runs, rounds)
    print(f"{len(task.subjects)} artifacts, {len(task.images)} images, {rounds} rounds, {os.cpu_count()} cores")
    for name, times in seconds.items():
        print(f"  {name:<20} {np.median(times):6.1f} s  {np.median(cpu_seconds[name]):6.1f} s of all cores")
    faster = ratio_of_medians(seconds, SERIAL, SIDE_BY_SIDE)
    low, high = faster.ci95
    print(f"  {SERIAL} / {SIDE_BY_SIDE}: {faster.ratio:.2f} [{low:.2f}, {high:.2f}]")
    beyond = float(np.median(seconds[SIDE_BY_SIDE] - seconds[REFERENCE]))
    print(f"  beyond the reference: {beyond:.1f} s of {SECONDS:.0f} s: {'kept' if beyond < SECONDS else 'MISSED'}")


def interleaved(
    runs: dict[str, Callable[[], None]], rounds: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Seconds of each run in each round, by the clock and of all cores, in a new order each time.

    What the cores did says something on a busy machine too.
    """
    rng = np.random.default_rng(0)
    seconds, cpu_seconds = ({name: np.empty(rounds) for name in runs} for _ in range(2))
    for number in range(rounds):
        for name in rng.permutation(list(runs)).tolist():
            start, cpu_start = time.perf_counter(), time.process_time()
            runs[name]()
            seconds[name][number] = time.perf_counter() - start
            cpu_seconds[name][number] = time.process_time() - cpu_start
    return seconds, cpu_seconds


def serial(task: Task) -> None:
    """What one writes at first: a loop over the artifacts for each batch, and each one's answers and distances."""
    done = 0
    for pixels in iter_pixels(task.images, task.preprocess):
        labels = task.images.labels[done : done + len(pixels)]
        done += len(pixels)
        expected = task.reference.scores(pixels)
        for subject in task.subjects:
            scores = subject.scores(subject.raw(pixels))
            (scores.argmax(axis=1) == labels).sum()
            (np.argsort(-scores, axis=1, kind="stable")[:, :5] == labels[:, None]).any(axis=1)
            np.abs(scores.astype(np.float64) - expected).max()


def side_by_side(task: Task) -> None:
    """What `mbexport verify` does."""
    verify(task.subjects, task.images, task.preprocess, reference=task.reference)


def reference_alone(task: Task) -> None:
    """The reference's answers, and nothing else."""
    for pixels in iter_pixels(task.images, task.preprocess):
        task.reference.scores(pixels)


def memory_table(folder: Path, imagenet: Path, images: int) -> None:
    """The peak of a process that verifies so many images, and many more, which repeat themselves."""
    for count in (images, images * TIMES):
        print(f"  {count:5} images: peak {peak_mb(folder, imagenet, count):.0f} MB", flush=True)


def peak_mb(folder: Path, imagenet: Path, count: int) -> float:
    """The peak of the process that `verification.py` is."""
    script = Path(__file__).with_name("verification.py")
    command = [sys.executable, str(script), str(folder), str(imagenet), str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
