"""Turns one file, opened through several kernel paths, into how far their answers are apart.

A phone without the delegate, or with another, runs other kernels on the same file.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verify.classification.answers import NO_ANSWER, best
from mbexport.verify.statistics import Interval, wilson_interval

IMAGES: Final = 64
BUDGET_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPair:
    """Two paths of one file on the same images; `max_lsb` is None where outputs are not codes of one scale."""

    a: str
    b: str
    agreement: float
    agreement_ci95: Interval
    max_lsb: int | None
    max_abs_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The paths `names` of a file, compared pair by pair on `images` images."""

    file: str
    images: int
    names: tuple[str, ...]
    pairs: tuple[PathPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """A path that ran: its subject, and its raw outputs (n, classes)."""

    subject: Subject
    raw: NDArray[Any]


def compare_paths(
    openers: Mapping[str, Callable[[], Subject]],
    images: ImageSet,
    pixels: Preprocess,
    *,
    file: str,
    most: int = IMAGES,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> Paths:
    """Runs each path of `file` on at most `most` images, evenly spread over `images`, and compares all pairs.

    A path stops after the inference at which its seconds are used up; all are compared on the images that the slowest
    one reached. Raises `DataError` for a path that cannot be opened or run.
    """
    chosen = images.subset(evenly_spread(len(images), most))
    content = np.concatenate(list(iter_pixels(chosen, pixels))) if len(chosen) else np.zeros((0, *pixels.shape), "u1")

    def run(opener: Callable[[], Subject]) -> _Path:
        subject = opener()
        return _Path(subject=subject, raw=_raw(subject, content, clock, budget_s))

    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kernel-path") as pool:
        done = dict(zip(openers, pool.map(run, openers.values()), strict=True))
    reached = min((len(path.raw) for path in done.values()), default=0)
    pairs = tuple(_pair(a, b, done, reached) for a, b in combinations(done, 2))
    return Paths(file=file, images=reached, names=tuple(done), pairs=pairs)


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` places, in an order of which every beginning is spread over all of them too.

    The order is that of van der Corput 1935: places sorted by their binary digits read backwards.
    """
    taken = min(count, most)
    places = (np.arange(taken, dtype=np.int64) * count) // max(taken, 1)
    digits = max(taken - 1, 0).bit_length()
    order = sorted(range(taken), key=lambda i: int(f"{i:0{max(digits, 1)}b}"[::-1], 2))
    return places[order]


def _raw(subject: Subject, content: Pixels, clock: Callable[[], float], budget_s: float) -> NDArray[Any]:
    """Raw outputs for as many images, from the first on, as there is time for; at least one inference."""
    start, batch, done = clock(), subject.runner.batch, []
    for first in range(0, len(content), batch):
        done.append(subject.raw(content[first : first + batch]))
        if clock() - start >= budget_s:
            break
    return np.concatenate(done) if done else np.zeros((0, subject.classes))


def _pair(a: str, b: str, done: Mapping[str, _Path], reached: int) -> PathPair:
    one, other = done[a], done[b]
    raw = one.raw[:reached], other.raw[:reached]
    scores = one.subject.scores(raw[0]), other.subject.scores(raw[1])
    answers = best(scores[0]), best(scores[1])
    alike = int(((answers[0] == answers[1]) & (answers[0] != NO_ANSWER)).sum())
    chances = one.subject.probabilities(scores[0]), other.subject.probabilities(scores[1])
    outputs = one.subject.output, other.subject.output
    has_codes = outputs[0].affine is not None and outputs[0].affine == outputs[1].affine
    return PathPair(
        a=a,
        b=b,
        agreement=alike / reached if reached else np.nan,
        agreement_ci95=wilson_interval(alike, reached),
        max_lsb=int(_distance(raw[0].astype(np.int64), raw[1])) if has_codes and reached else None,
        max_abs_error=float(_distance(*chances)) if reached else np.nan,
    )


def _distance(a: NDArray[Any], b: NDArray[Any]) -> Any:
    """The largest distance of any entry."""
    return np.abs(a - b).max()
