"""Compare the answers of a classifier through several kernel paths, pair by pair."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.answers import NO_ANSWER, best
from mbexport.verification.kernel_paths import IMAGES, PathRun, Paths, run_paths
from mbexport.verification.measure_paths import PathTask
from mbexport.verification.statistics import Interval, wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPair:
    """Two paths of one file on the same images; `max_lsb` is None where outputs are not codes of one scale.

    `failure` says why `b` could not be run; nothing is known of such a pair.
    """

    a: str
    b: str
    agreement: float
    agreement_ci95: Interval
    max_lsb: int | None
    max_abs_error: float
    failure: str | None = None

    @classmethod
    def failed(cls, a: str, b: str, failure: str) -> "PathPair":
        """A pair whose second path could not be run."""
        nothing, unknown = np.nan, (np.nan, np.nan)
        return cls(
            a=a,
            b=b,
            agreement=nothing,
            agreement_ci95=unknown,
            max_lsb=None,
            max_abs_error=nothing,
            failure=failure,
        )


def compare_paths(
    openers: Mapping[str, Callable[[], Subject]], images: ImageSet, pixels: Preprocess, *, file: str, most: int = IMAGES
) -> Paths[PathPair]:
    """Compare all pairs of paths of `file`, on at most `most` of the images, evenly spread over them.

    Raises `DataError` for a path that cannot be opened or run.
    """
    runs = run_paths(openers, images, pixels, most=most)
    pairs = tuple(_pair(a, b, runs) for a, b in combinations(runs, 2))
    return Paths(file=file, images=min(len(images), most), names=tuple(runs), pairs=pairs)


CLASSIFIER_PATHS: Final = PathTask(compare=compare_paths, failed=PathPair.failed)


def _pair(a: str, b: str, runs: Mapping[str, PathRun[Subject]]) -> PathPair:
    one, other = runs[a], runs[b]
    count = len(one.raw)
    scores = one.file.scores(one.raw), other.file.scores(other.raw)
    answers = best(scores[0]), best(scores[1])
    alike = int(((answers[0] == answers[1]) & (answers[0] != NO_ANSWER)).sum())
    chances = one.file.probabilities(scores[0]), other.file.probabilities(scores[1])
    affine = one.file.output.affine
    has_codes = affine is not None and affine == other.file.output.affine
    return PathPair(
        a=a,
        b=b,
        agreement=alike / count if count else np.nan,
        agreement_ci95=wilson_interval(alike, count),
        max_lsb=int(_distance(one.raw.astype(np.int64), other.raw)) if has_codes and count else None,
        max_abs_error=float(_distance(*chances)) if count else np.nan,
    )


def _distance(a: NDArray[Any], b: NDArray[Any]) -> Any:
    """The largest distance of any entry."""
    return np.abs(a - b).max()
