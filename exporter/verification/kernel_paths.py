"""Run one file through several kernel paths of its runtime, on the same images and within a budget of time.

A phone without the delegate, or with another, runs other kernels on the same file. How two paths' answers are compared
is the task's business.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Pixels, Preprocess

IMAGES: Final = 64
BUDGET_S: Final = 5.0


class Opened(Protocol):
    """A file that was opened with the kernels of one path."""

    @property
    def batch(self) -> int:
        """The images of one inference."""

    def raw(self, pixels: Pixels) -> NDArray[Any]:
        """The raw outputs (n, ...) for uint8 images (n, px, px, channels)."""


File = TypeVar("File", bound=Opened)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRun(Generic[File]):
    """A path that ran: the opened file, and its raw outputs (n, ...)."""

    file: File
    raw: NDArray[Any]


def run_paths(
    openers: Mapping[str, Callable[[], File]],
    images: ImageSet,
    pixels: Preprocess,
    *,
    most: int = IMAGES,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, PathRun[File]]:
    """The outputs of each path, by its name, for at most `most` images, evenly spread over `images`.

    A path stops after the inference at which its `budget_s` seconds are used up; of all paths, the outputs for the
    images that the slowest one reached are given. Raises `DataError` for a path that cannot be opened or run.
    """
    chosen = images.subset(evenly_spread(len(images), most))
    content = np.concatenate(list(iter_pixels(chosen, pixels))) if len(chosen) else np.zeros((0, *pixels.shape), "u1")

    def run(opener: Callable[[], File]) -> PathRun[File]:
        file = opener()
        return PathRun(file=file, raw=_raw(file, content, clock, budget_s))

    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kernel-path") as pool:
        runs = dict(zip(openers, pool.map(run, openers.values()), strict=True))
    reached = min((len(each.raw) for each in runs.values()), default=0)
    return {name: PathRun(file=each.file, raw=each.raw[:reached]) for name, each in runs.items()}


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` places, in an order of which every beginning is spread over all of them too.

    The order is that of van der Corput 1935: places sorted by their binary digits read backwards.
    """
    taken = min(count, most)
    places = (np.arange(taken, dtype=np.int64) * count) // max(taken, 1)
    digits = max(taken - 1, 0).bit_length()
    order = sorted(range(taken), key=lambda i: int(f"{i:0{max(digits, 1)}b}"[::-1], 2))
    return places[order]


def _raw(file: Opened, content: Pixels, clock: Callable[[], float], budget_s: float) -> NDArray[Any]:
    """Raw outputs for as many images, from the first on, as there is time for; at least one inference."""
    start, done = clock(), []
    for first in range(0, len(content), file.batch):
        done.append(file.raw(content[first : first + file.batch]))
        if clock() - start >= budget_s:
            break
    return np.concatenate(done) if done else np.zeros((0, 1))
