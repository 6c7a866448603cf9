"""Compare artifacts with each other, code by code: those whose outputs have the same steps, and twins in any case.

Twins are the int8 files of one network in two formats. Their codes are the same by construction, so that twins whose
outputs have other steps are a finding of their own: they are a pair without distances.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import TensorSpec, for_bytes
from mbexport.formats.subject import Subject
from mbexport.verification.classification.answers import Answers
from mbexport.verification.classification.classes import agreed
from mbexport.verification.statistics import Distances, Interval, distances, share, wilson_interval
from mbexport.verification.twins import twins_by_name, unsettled

_NO_DISTANCE: Final = distances(np.zeros(0), np.zeros(0))
_UNKNOWN: Final[Interval] = (math.nan, math.nan)
_OFFSETS: Final[Mapping[str, int]] = {"int8": 128}  # from a code to its byte
Places = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two artifacts compared code by code: `max_lsb` is the largest distance in codes.

    Twins whose outputs have other steps have no distances: `conflict` then says which steps these are, and numbers in
    codes are NaN.
    """

    a: str
    b: str
    agreement: float
    max_lsb: float
    differing_fraction: float
    agreement_ci95: Interval = _UNKNOWN
    lsb: Distances = _NO_DISTANCE
    is_twin: bool = False
    conflict: str | None = None


@dataclass(slots=True, kw_only=True)
class PairTally:
    """The distances of two artifacts' codes, gathered batch by batch: two numbers an image.

    `offsets` are added to the codes of either, which makes bytes of codes of 8 bits.
    """

    offsets: Places = (0, 0)
    worst: list[NDArray[np.int64]] = field(default_factory=list)
    mean: list[NDArray[np.float64]] = field(default_factory=list)
    differing: int = 0
    compared: int = 0

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Count the distances of the raw outputs (n, classes) of a batch."""
        first, second = (raw.astype(np.int64) + offset for raw, offset in zip((a, b), self.offsets, strict=True))
        distance = np.abs(first - second)
        self.worst.append(distance.max(axis=1))
        self.mean.append(distance.mean(axis=1))
        self.differing += int((distance > 0).sum())
        self.compared += distance.size

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has been counted, as arrays that `add_arrays` takes."""
        return {
            "worst": np.concatenate([np.zeros(0, np.int64), *self.worst]),
            "mean": np.concatenate([np.zeros(0), *self.mean]),
            "counts": np.array([self.differing, self.compared], np.int64),
        }

    def add_arrays(self, counted: Mapping[str, NDArray[Any]]) -> None:
        """Add what another tally has counted of the next images."""
        self.worst.append(counted["worst"])
        self.mean.append(counted["mean"])
        differing, compared = counted["counts"].tolist()
        self.differing += differing
        self.compared += compared


def tallies_of(subjects: Sequence[Subject]) -> dict[Places, PairTally]:
    """An empty tally for each pair of places whose outputs have the same steps, so that a distance has a meaning."""
    outputs = [subject.output for subject in subjects]
    return {
        (a, b): PairTally(offsets=(_offset(outputs[a]), _offset(outputs[b])))
        for a, b in combinations(range(len(subjects)), 2)
        if _steps(subjects[a]) is not None and _steps(subjects[a]) == _steps(subjects[b])
    }


def compared_pairs(
    subjects: Sequence[Subject], tallies: Mapping[Places, PairTally], answers: Sequence[Answers]
) -> tuple[Pair, ...]:
    """The pairs of `tallies`, and the twins among all `subjects`, of which `answers` are the answers."""
    twins = _twins(subjects, list(tallies))
    return tuple(
        _pair(subjects, (a, b), tallies.get((a, b)), agreed(answers[a], answers[b]), is_twin=(a, b) in twins)
        for a, b in sorted({*tallies, *twins})
    )


def _pair(
    subjects: Sequence[Subject], places: Places, tally: PairTally | None, alike: NDArray[np.bool_], *, is_twin: bool
) -> Pair:
    a, b = (subjects[place] for place in places)
    found = Pair(
        a=a.name,
        b=b.name,
        agreement=share(alike),
        agreement_ci95=wilson_interval(int(alike.sum()), len(alike)),
        max_lsb=math.nan,
        differing_fraction=math.nan,
        is_twin=is_twin,
    )
    if tally is None:
        return replace(found, conflict=f"their outputs have other steps: {_in_words(a)} beside {_in_words(b)}")
    worst = np.concatenate([np.zeros(0, np.int64), *tally.worst])
    return replace(
        found,
        max_lsb=int(worst.max(initial=0)),
        lsb=distances(worst, np.concatenate([np.zeros(0), *tally.mean])),
        differing_fraction=tally.differing / tally.compared if tally.compared else math.nan,
    )


def _twins(subjects: Sequence[Subject], pairs: Sequence[Places]) -> set[Places]:
    """The places of twins: of two formats, quantized alike, and called alike in one folder, or at least called alike.

    Of files that have no twin by name, those are twins whose outputs have the same steps (`pairs`).
    """
    candidates = [(a, b) for a, b in combinations(range(len(subjects)), 2) if _may_be_twins(subjects[a], subjects[b])]
    found = twins_by_name([subject.runner.path for subject in subjects], candidates)
    return found | {pair for pair in unsettled(candidates, found) if pair in pairs}


def _may_be_twins(a: Subject, b: Subject) -> bool:
    """Whether both are of one precision, in formats of two runtimes, and at least one of them gives codes."""
    are_alike = a.runner.precision is b.runner.precision and a.runner.runtime != b.runner.runtime
    return are_alike and (_steps(a) is not None or _steps(b) is not None)


def _steps(subject: Subject) -> tuple[object, ...] | None:
    """What two outputs must share for a distance in codes: width, scale, zero point in terms of bytes, scores."""
    output = subject.output
    if output.affine is None:
        return None
    affine = for_bytes(output)
    return (output.dtype, output.affine, subject.classes) if affine is None else ("8 bits", affine, subject.classes)


def _offset(output: TensorSpec) -> int:
    return _OFFSETS.get(output.dtype, 0)


def _in_words(subject: Subject) -> str:
    """What a code of the output stands for."""
    affine, what = subject.output.affine, f"{subject.classes} {subject.kind.value} scores"
    if affine is None:
        return f"{what} of {subject.output.dtype}"
    return f"{what} of {affine.scale[0]:.6g} * ({subject.output.dtype} - {affine.zero_point[0]})"
