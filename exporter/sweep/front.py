"""Decide which of several files lie on a front of accuracy against cost, when both are known to an interval only.

A value is *surely* better than another one where their intervals lie apart. A file surely dominates another one if it
is surely better in accuracy or in cost, and surely better or exactly equal in the other: two values are exactly equal
if both intervals are single points. A file *could* dominate another one if it is surely worse in neither, and not
exactly equal in both (decision 0044).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mbexport.latency.intervals import Interval


class Status(StrEnum):
    """Where a file stands: nobody could dominate it, somebody surely does, or the intervals do not tell."""

    ON = "on"
    UNDECIDED = "undecided"
    DOMINATED = "dominated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file by its name: `accuracy` is the better the higher it is, `cost` the lower it is."""

    name: str
    accuracy: Interval
    cost: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The status of a file, whether it lies on the front of the values alone, and who surely dominates it.

    `dominated_by` names those that are not dominated themselves, sorted: each dominated file has one.
    """

    status: Status
    is_estimated: bool
    dominated_by: tuple[str, ...] = ()


def exact(value: float) -> Interval:
    """A value that is known exactly."""
    return Interval(value=value, low=value, high=value)


def standings(candidates: Sequence[Candidate]) -> Mapping[str, Standing]:
    """Where each candidate stands among all, by its name. Names must differ."""
    status = {each.name: _status(each, candidates) for each in candidates}
    return {
        each.name: Standing(
            status=status[each.name],
            is_estimated=not any(dominates_by_value(other, each) for other in candidates),
            dominated_by=tuple(
                sorted(
                    other.name
                    for other in candidates
                    if status[other.name] is not Status.DOMINATED and surely_dominates(other, each)
                )
            ),
        )
        for each in candidates
    }


def surely_dominates(a: Candidate, b: Candidate) -> bool:
    """Whether `a` is surely better than `b` in one of both, and surely better or exactly equal in the other."""
    is_better = (_is_above(a.accuracy, b.accuracy), _is_above(b.cost, a.cost))
    is_equal = (_is_equal(a.accuracy, b.accuracy), _is_equal(a.cost, b.cost))
    return any(is_better) and all(better or equal for better, equal in zip(is_better, is_equal, strict=True))


def could_dominate(a: Candidate, b: Candidate) -> bool:
    """Whether `a` is surely worse than `b` in neither, and not exactly equal in both."""
    is_worse = _is_above(b.accuracy, a.accuracy) or _is_above(a.cost, b.cost)
    return not is_worse and not (_is_equal(a.accuracy, b.accuracy) and _is_equal(a.cost, b.cost))


def dominates_by_value(a: Candidate, b: Candidate) -> bool:
    """Whether `a` would dominate `b` if both were what their values say."""
    gains = (a.accuracy.value - b.accuracy.value, b.cost.value - a.cost.value)
    return min(gains) >= 0 and max(gains) > 0


def _status(candidate: Candidate, candidates: Sequence[Candidate]) -> Status:
    others = [each for each in candidates if each.name != candidate.name]
    if any(surely_dominates(other, candidate) for other in others):
        return Status.DOMINATED
    return Status.UNDECIDED if any(could_dominate(other, candidate) for other in others) else Status.ON


def _is_above(a: Interval, b: Interval) -> bool:
    return a.low > b.high


def _is_equal(a: Interval, b: Interval) -> bool:
    return a.low == a.high == b.low == b.high
