"""Break answers down by class: what each class lost, confusions, and the images on which two models disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.verification.classification.answers import NO_ANSWER, Answers

_MOST_SHOWN: Final = 50  # classes; of more, only those that lost most are shown
_WORST_CLASSES: Final = 10
_CONFUSIONS: Final = 20
_WORST_IMAGES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """Of the `images` of one class, how many the reference, and how many the artifact, answered rightly."""

    index: int
    images: int
    reference_right: int
    right: int

    @property
    def lost(self) -> int:
        """The images that the artifact has fewer than the reference; negative if it has more."""
        return self.reference_right - self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """How often images of the class `index` were answered with `answer`, by the artifact and by the reference."""

    index: int
    answer: int
    count: int
    reference_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An image that artifact and reference answered differently; classes by index, `label` None where unknown.

    Scores are the probabilities that each gives to its own answer. `severity` is the larger loss of probability:
    of the reference's answer in the artifact, or of the artifact's in the reference.
    """

    image: str
    label: int | None
    reference: int
    artifact: int
    reference_score: float
    artifact_score: float
    severity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResults:
    """Results by class: `shown` are all classes of at most 50, else the ten that lost most; `worst` those that lost."""

    shown: tuple[ClassCount, ...] = ()
    worst: tuple[ClassCount, ...] = ()
    confusions: tuple[Confusion, ...] = ()


def class_results(labels: NDArray[np.int64], reference: NDArray[np.int64], answer: NDArray[np.int64]) -> ClassResults:
    """Results of each class among the images, from the true classes and both answers, each int64 of shape (n,)."""
    counts = [
        ClassCount(
            index=int(index),
            images=int((labels == index).sum()),
            reference_right=int(((labels == index) & (reference == index)).sum()),
            right=int(((labels == index) & (answer == index)).sum()),
        )
        for index in np.unique(labels)
    ]
    by_loss = sorted(counts, key=lambda count: (-count.lost, count.index))
    worst = tuple(count for count in by_loss[:_WORST_CLASSES] if count.lost > 0)
    return ClassResults(
        shown=tuple(counts if len(counts) <= _MOST_SHOWN else by_loss[:_WORST_CLASSES]),
        worst=worst,
        confusions=_confusions(worst, labels, reference, answer),
    )


def _confusions(
    worst: Sequence[ClassCount],
    labels: NDArray[np.int64],
    reference: NDArray[np.int64],
    answer: NDArray[np.int64],
) -> tuple[Confusion, ...]:
    """The artifact's wrong answers in the `worst` classes, most frequent first."""
    confusions = []
    for lossy in worst:
        is_member = labels == lossy.index
        answers, counts = np.unique(answer[is_member & (answer != lossy.index)], return_counts=True)
        for wrong, count in zip(answers.tolist(), counts.tolist(), strict=True):
            before = int((is_member & (reference == wrong)).sum())
            confusions.append(Confusion(index=lossy.index, answer=wrong, count=count, reference_count=before))
    # Of equally frequent ones, first those that the reference does not make.
    confusions.sort(key=lambda confusion: (-confusion.count, confusion.reference_count))
    return tuple(confusions[:_CONFUSIONS])


def disagreements(
    names: Sequence[str], labels: NDArray[np.int64] | None, reference: Answers, artifact: Answers
) -> tuple[Disagreement, ...]:
    """The 24 images on which both disagree most, the worst first; where a probability is NaN, the severity is 1."""
    differing = np.flatnonzero(~agreed(reference, artifact))
    losses = np.maximum(reference.own - artifact.of_reference, artifact.own - artifact.by_reference)[differing]
    severity = np.where(np.isnan(losses), 1.0, losses)
    order = np.argsort(-severity, kind="stable")[:_WORST_IMAGES]
    return tuple(
        Disagreement(
            image=names[i],
            label=None if labels is None else int(labels[i]),
            reference=int(reference.answer[i]),
            artifact=int(artifact.answer[i]),
            reference_score=float(reference.own[i]),
            artifact_score=float(artifact.own[i]),
            severity=float(loss),
        )
        for i, loss in zip(differing[order].tolist(), severity[order].tolist(), strict=True)
    )


def agreed(a: Answers, b: Answers) -> NDArray[np.bool_]:
    """Whether both give the same answer (n,); a model that gives none agrees with nobody."""
    is_alike: NDArray[np.bool_] = (a.answer == b.answer) & (a.answer != NO_ANSWER)
    return is_alike
