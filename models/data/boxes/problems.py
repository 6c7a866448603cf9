"""What is wrong with boxes that somebody drew: counted by kind, the first ones listed, and too many of them refused."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mbexport.errors import DataError, OptionError

MOST_LISTED: Final = 1000  # a million boxes of a wrong class must not fill a report


class Fault(StrEnum):
    """Kinds of problems, as they stand behind a count of boxes."""

    NO_NUMBERS = "without four numbers"
    SWAPPED = "with swapped corners"
    NO_AREA = "without an area"
    OUTSIDE = "outside the image"
    UNKNOWN_CLASS = "of an unknown class"
    NO_IMAGE = "of a missing image"
    OTHER_SIZE = "of an image of another size"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxProblem:
    """One problem: the annotation's `file`, from the data folder, `what` must be the case, and what was `got`.

    It concerns as many `boxes`: all of an image if that is missing.
    """

    fault: Fault
    file: str
    what: str
    got: str
    boxes: int = 1

    def __str__(self) -> str:
        return f"{self.file}: {self.what}, got {self.got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxProblems:
    """Of `checked` boxes those that cannot be used: counts by kind, and at most 1000 problems, in the order found.

    An image without boxes counts as one where it is the problem itself.
    """

    checked: int = 0
    counts: Mapping[Fault, int] = field(default_factory=dict)
    listed: tuple[BoxProblem, ...] = ()

    @property
    def bad(self) -> int:
        """How many boxes cannot be used."""
        return sum(self.counts.values())

    def __bool__(self) -> bool:
        return bool(self.counts)

    @classmethod
    def joined(cls, parts: "Iterable[BoxProblems]") -> "BoxProblems":
        """The problems of all parts of a data set, part by part."""
        found = tuple(parts)
        counts = sum((Counter(each.counts) for each in found), Counter[Fault]())
        return cls(
            checked=sum(each.checked for each in found),
            counts={fault: counts[fault] for fault in Fault if counts[fault]},
            listed=tuple(problem for each in found for problem in each.listed)[:MOST_LISTED],
        )

    def __str__(self) -> str:
        """What there was, in a few words: "2 boxes without an area"; "nothing" if there was nothing."""
        said = (f"{count} box{'' if count == 1 else 'es'} {fault}" for fault, count in self.counts.items())
        return ", ".join(said) or "nothing"


class ProblemTally:
    """Problems, counted as they are found."""

    def __init__(self) -> None:
        self.checked = 0
        self._counts: Counter[Fault] = Counter()
        self._listed: list[BoxProblem] = []

    def add(self, problem: BoxProblem) -> None:
        """Count one more, whose boxes are among the `checked` ones."""
        self.count(problem.fault, problem.boxes)
        if len(self._listed) < MOST_LISTED:
            self._listed.append(problem)

    def count(self, fault: Fault, boxes: int) -> None:
        """Count boxes that are not listed."""
        self._counts[fault] += boxes

    def problems(self) -> BoxProblems:
        """All that was added, in the order of `Fault`."""
        counts = {fault: self._counts[fault] for fault in Fault if self._counts[fault]}
        return BoxProblems(checked=self.checked, counts=counts, listed=tuple(self._listed))


def require_few_bad(problems: BoxProblems, max_bad: float) -> None:
    """Raise `DataError` if more than the fraction `max_bad` of all boxes cannot be used.

    Raises `OptionError` if `max_bad` is not in 0..1.
    """
    if not 0 <= max_bad <= 1:
        raise OptionError(f"--max-bad must be from 0 to 1, got {max_bad:g}")
    if problems and problems.bad / problems.checked > max_bad:
        raise DataError(
            f"{problems.bad} of {problems.checked} boxes ({problems.bad / problems.checked:.2%}) cannot be used, "
            f"at most {max_bad:.2%} may be (--max-bad); first: {problems.listed[0]}"
        )
