"""Compare the detections of one file through several kernel paths, pair by pair."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.subject import DetectorSubject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verification.detection.pairs import Pair, pair_of
from mbexport.verification.detection.resampling import image_samples
from mbexport.verification.kernel_paths import IMAGES, Paths, run_paths
from mbexport.verification.measure_paths import PathTask


@dataclass(frozen=True, slots=True)
class _Opened:
    """A detector as what `run_paths` runs: its raw output is an array with the detections of each image."""

    subject: DetectorSubject

    @property
    def batch(self) -> int:
        return self.subject.runner.batch

    def raw(self, pixels: Pixels) -> NDArray[Any]:
        return _as_array(self.subject.detections(pixels))


def compare_paths(
    openers: Mapping[str, Callable[[], DetectorSubject]],
    images: ImageSet,
    pixels: Preprocess,
    *,
    file: str,
    most: int = IMAGES,
    seed: int = 0,
) -> Paths[Pair]:
    """Compare all pairs of paths of `file`, on at most `most` of the images, evenly spread over them.

    Raises `DataError` for a path that cannot be opened or run.
    """
    opened = {name: _opener(opener) for name, opener in openers.items()}
    runs = {name: run.raw.ravel().tolist() for name, run in run_paths(opened, images, pixels, most=most).items()}
    count = min(len(images), most)
    samples = image_samples(count, seed=seed)
    pairs = tuple(pair_of(a, b, runs[a], runs[b], samples) for a, b in combinations(runs, 2))
    return Paths(file=file, images=count, names=tuple(runs), pairs=pairs)


def detector_paths(*, seed: int = 0) -> PathTask[DetectorSubject, Pair]:
    """How paths of detectors are compared, with intervals from samples of that seed."""
    return PathTask(compare=partial(compare_paths, seed=seed), failed=Pair.failed)


def _opener(opener: Callable[[], DetectorSubject]) -> Callable[[], _Opened]:
    return lambda: _Opened(opener())


def _as_array(found: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(found), object)
    for place, each in enumerate(found):
        array[place] = each
    return array
