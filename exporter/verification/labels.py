"""Check the labels inside a file against the classes of the data, and against those inside the reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from mbexport.errors import DataError
from mbexport.formats.contents import holds_labels, stored_labels
from mbexport.formats.runner import Runner

# Where fewer labels name any class, the file has other names for its classes, and most of their order stays unknown.
_LEAST_RECOGNIZED: Final = 0.5
_MOST_SHOWN: Final = 3
_LONGEST: Final = 40  # characters of a label in a sentence


class Labelled(Protocol):
    """A file that answers with scores of classes, or with classes."""

    @property
    def runner(self) -> Runner:
        """The opened file."""

    @property
    def classes(self) -> int:
        """How many classes it tells apart, without that of a background."""

    @property
    def skips_background(self) -> bool:
        """Whether it has a background beside these, as the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCheck:
    """What the labels inside a file are worth.

    `matched` is the share of them at the right place, of those that name any class: 0 where they cannot be those of
    the scores at all, None where nothing can be compared. `problem` is a sentence for people, None where all is well.
    """

    matched: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """How many of `count` labels name a class at all, and those that name another than that at their place."""

    count: int
    recognized: int
    misplaced: tuple[str, ...]

    @property
    def is_foreign(self) -> bool:
        """Whether most labels are in other words than the classes."""
        return self.recognized < _LEAST_RECOGNIZED * self.count

    @property
    def matched(self) -> float | None:
        """The share of recognized labels at their place; None where there are none."""
        return 1 - len(self.misplaced) / self.recognized if self.recognized else None


def check_labels(subject: Labelled, classes: Sequence[str], *, others: Sequence[str] | None = None) -> LabelCheck:
    """Check the labels in a file of scores of `classes`, which the data names, in order.

    Where most of the labels are in other words than these, they are held against those of another file too, `others`,
    if they are as many.
    """
    runner = subject.runner
    if not holds_labels(runner):
        return LabelCheck()
    try:
        stored = stored_labels(runner)
    except DataError as error:
        return LabelCheck(matched=0.0, problem=str(error))
    if stored is None:
        return LabelCheck(problem="it holds no labels: apps can name its answers only by a file beside it")
    scores = subject.classes + subject.skips_background
    if len(stored) != scores:
        return LabelCheck(matched=0.0, problem=f"it holds {len(stored)} labels for {scores} scores")
    labels = stored[int(subject.skips_background) :]
    blank = sum(not label.strip() for label in labels)
    if blank:
        return LabelCheck(matched=0.0, problem=f"{blank} of its {len(labels)} labels are blank")
    return compared_labels(labels, classes, others=others)


def compared_labels(
    labels: Sequence[str], classes: Sequence[str], *, others: Sequence[str] | None = None
) -> LabelCheck:
    """Compare labels with as many names of classes, place by place; `others` are the labels of another file.

    A name may hold synonyms behind commas; capitals and underscores do not count.
    """
    if len(labels) != len(classes):
        return LabelCheck(matched=0.0, problem=f"it holds {len(labels)} labels for {len(classes)} classes")
    found = [_compared(labels, classes)]
    if found[0].is_foreign and others is not None and len(others) == len(labels):
        found.append(_compared(labels, others))
    shares = [each.matched for each in found if each.matched is not None]
    misplaced = max((each.misplaced for each in found), key=len)
    problems = [_foreign(found[0], labels)] if found[0].is_foreign else []
    if misplaced:
        problems.append(f"{len(misplaced)} of its labels stand at other classes than their own: {_listed(misplaced)}")
    return LabelCheck(matched=min(shares, default=None), problem="; ".join(problems) or None)


def labels_beside(reference: Runner | None, subjects: Sequence[Labelled]) -> tuple[str, ...] | None:
    """The labels that those of all files are held against beside the data's: the first that are as many as the scores.

    Those of the reference come first. Those of a background are left out.
    """
    runners = [*([] if reference is None else [reference]), *(subject.runner for subject in subjects)]
    wanted = min(subject.classes for subject in subjects)
    for runner in runners:
        try:
            stored = stored_labels(runner) if holds_labels(runner) else None
        except DataError:
            continue  # which is said of that file
        if stored is not None and len(stored) - wanted in (0, 1):
            return stored[len(stored) - wanted :]
    return None


def _compared(labels: Sequence[str], classes: Sequence[str]) -> _Comparison:
    expected = [_synonyms(name) for name in classes]
    all_names = frozenset().union(*expected)
    recognized = [
        (label, name, bool(_synonyms(label) & names))
        for label, name, names in zip(labels, classes, expected, strict=True)
        if _synonyms(label) & all_names
    ]
    misplaced = tuple(f"{_short(label)} at {_short(name)}" for label, name, is_right in recognized if not is_right)
    return _Comparison(count=len(labels), recognized=len(recognized), misplaced=misplaced)


def _foreign(found: _Comparison, labels: Sequence[str]) -> str:
    examples = ", ".join(map(_short, labels[:_MOST_SHOWN]))
    named = f"only {found.recognized} of" if found.recognized else "none of"
    return f"{named} its {found.count} labels ({examples}, ...) name classes of the data: check their order yourself"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_MOST_SHOWN]) + (", ..." if len(texts) > _MOST_SHOWN else "")


def _short(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")


def _synonyms(name: str) -> frozenset[str]:
    return frozenset(part.strip().replace("_", " ").casefold() for part in name.split(",")) - {""}
