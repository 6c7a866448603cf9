"""Run one file through several kernel paths of its runtime, on the same images.

A phone without the delegate, or with another, runs other kernels on the same file. How two paths' answers are compared
is the task's business. How many images are taken depends on the file alone, never on how fast they pass.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.kernel_path import Share, share_json
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Pixels, Preprocess

Json = dict[str, Any]

IMAGES: Final = 64
# Of 32 images that are all answered alike, the interval begins at 0.893: the least that decides the gate's 0.85 surely.
FEWEST_IMAGES: Final = 32
# In bytes of weights times pixels, which of 8-bit MobileNets is about 500 times the multiply-adds: 64 images up to
# alpha 0.5 at 224 px, which LiteRT's reference kernels answer in eight seconds (1.1 billion multiply-adds in one).
_WORK: Final = 4 << 40


class Opened(Protocol):
    """A file that was opened with the kernels of one path."""

    @property
    def batch(self) -> int:
        """The images of one inference."""

    def raw(self, pixels: Pixels) -> NDArray[Any]:
        """The raw outputs (n, ...) for uint8 images (n, h, w, channels)."""


File = TypeVar("File", bound=Opened)
PathPair = TypeVar("PathPair")  # how alike two paths answer, which is the task's business


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRun(Generic[File]):
    """A path that ran: the opened file, and its raw outputs (n, ...)."""

    file: File
    raw: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths(Generic[PathPair]):
    """The paths `names` of a file, compared pair by pair on `images` images.

    `shares` are the parts of the graph that some of them take, by name, where somebody asked for these paths.
    """

    file: str
    images: int
    names: tuple[str, ...]
    pairs: tuple[PathPair, ...]
    shares: Mapping[str, Share] = field(default_factory=dict)


def paths_entry(paths: Paths[PathPair], pair_json: Callable[[PathPair], Json]) -> Json:
    """The entry of one file's paths in report.json; with `shares` only where somebody asked for these paths."""
    shares = [share_json(name, share) for name, share in paths.shares.items()]
    return {
        "file": paths.file,
        "images": paths.images,
        "paths": list(paths.names),
        "pairs": list(map(pair_json, paths.pairs)),
    } | ({"shares": shares} if shares else {})


def images_for(size_bytes: int, input_pixels: int) -> int:
    """How many images a file of that size, with an input of so many pixels, is sent through each path."""
    affordable = _WORK // max(size_bytes * input_pixels, 1)
    return min(max(affordable, FEWEST_IMAGES), IMAGES)


def run_paths(
    openers: Mapping[str, Callable[[], File]], images: ImageSet, pixels: Preprocess, *, most: int = IMAGES
) -> dict[str, PathRun[File]]:
    """The outputs of each path, by its name, for at most `most` images, evenly spread over `images`.

    Raises `DataError` for a path that cannot be opened or run.
    """
    chosen = images.subset(evenly_spread(len(images), most))
    content = np.concatenate(list(iter_pixels(chosen, pixels))) if len(chosen) else np.zeros((0, *pixels.shape), "u1")

    def run(opener: Callable[[], File]) -> PathRun[File]:
        file = opener()
        return PathRun(file=file, raw=_raw(file, content))

    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="kernel-path") as pool:
        return dict(zip(openers, pool.map(run, openers.values()), strict=True))


def evenly_spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` places, in their order."""
    taken = min(count, most)
    places: NDArray[np.int64] = (np.arange(taken, dtype=np.int64) * count) // max(taken, 1)
    return places


def _raw(file: Opened, content: Pixels) -> NDArray[Any]:
    """The raw outputs for all images, one inference a batch."""
    done = [file.raw(content[first : first + file.batch]) for first in range(0, len(content), file.batch)]
    return np.concatenate(done) if done else np.zeros((0, 1))
