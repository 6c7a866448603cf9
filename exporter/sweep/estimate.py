"""Estimate how long the points of a sweep take to build, before any is built."""

import heapq
from statistics import median
from typing import Final

from mbexport.pipeline.dry_run import Status
from mbexport.pipeline.plan import Trained
from mbexport.sweep.point import Point, finished, in_turns
from mbexport.sweep.run import Sweep
from mbexport.workdir import Workdir

# Measured on one core of a server of 2023: they tell minutes from hours. Points of the same sweep that are finished
# tell better, and are what the estimate is scaled by.
_START_S: Final = 4.0  # to import what a build needs, and to find that every stage is done
_STAGES_S: Final = 60.0  # calibration, conversion, verification and golden vectors of a small network
_COMPILING_S: Final = 25.0  # until TensorFlow trains
_PASSES: Final = 3  # of a training step, in units of a forward pass: forward, and backward for inputs and weights
_MULT_ADDS_PER_S: Final = 3.5e9  # of one core, in training
_SHARE_OF_MORE_CORES: Final = 0.7  # what each core beyond the first adds


def estimated_points_s(sweep: Sweep) -> list[float]:
    """The seconds of each point, in their order."""
    workdir = Workdir(sweep.out)
    ends = [finished(workdir, point) for point in sweep.points]
    guesses = [_guess_s(sweep, point) for point in sweep.points]
    known = [
        (ended.seconds, _guess_s(sweep, point, is_new=True))
        for ended, point in zip(ends, sweep.points, strict=True)
        if ended is not None and ended.seconds
    ]
    scale = median(seconds / guess for seconds, guess in known) if known else 1.0
    return [0.0 if ended else scale * guess for ended, guess in zip(ends, guesses, strict=True)]


def estimate_s(sweep: Sweep, *, jobs: int) -> float:
    """The seconds until the last point is built, with so many at once, in the order in which they begin."""
    seconds = dict(zip((point.name for point in sweep.points), estimated_points_s(sweep), strict=True))
    free_at = [0.0] * jobs
    for point in in_turns(sweep.points):
        heapq.heappush(free_at, heapq.heappop(free_at) + seconds[point.name])
    return max(free_at)


def _guess_s(sweep: Sweep, point: Point, *, is_new: bool = False) -> float:
    """The seconds of a point by its size; of one that `is_new` all stages run."""
    waiting = {stage.name for stage in point.planned.stages if is_new or stage.status is Status.TO_RUN}
    if not waiting:
        return _START_S
    seconds = _START_S + _STAGES_S
    origin = point.planned.plan.origin
    if "train" in waiting and isinstance(origin, Trained):
        speed = _MULT_ADDS_PER_S * (1 + _SHARE_OF_MORE_CORES * (sweep.cores - 1))
        work = _PASSES * (point.planned.network.mult_adds or 0) * sweep.images * origin.epochs
        seconds += _COMPILING_S + work / speed
    return seconds
