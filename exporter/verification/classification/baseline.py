"""What artifacts are compared with, a network or the labels, and the functions with which both answer a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject, probabilities
from mbexport.models.facts import Output
from mbexport.models.preprocess import Pixels
from mbexport.verification.classification.answers import Answers, Scores, answers_of
from mbexport.verification.streaming import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What artifacts are compared with: a name for people, a function to scores, and what kind of scores they are.

    `scores` takes uint8 images (n, h, w, channels) and gives (n, classes); without it the labels of the images are
    all that is known: 1 for the class of each, of so many `classes`. `runner` is the one that it uses, if it uses one:
    no artifact may be in two threads at once.
    """

    name: str
    kind: Output
    scores: Callable[[Pixels], NDArray[np.float32]] | None = None
    runner: Runner | None = None
    classes: int = 0

    @classmethod
    def of(cls, subject: Subject) -> "Baseline":
        """An artifact as what others are compared with."""
        return cls(
            name=subject.name,
            kind=subject.kind,
            scores=lambda pixels: subject.scores(subject.raw(pixels)),
            runner=subject.runner,
        )

    @classmethod
    def of_labels(cls, name: str, *, classes: int) -> "Baseline":
        """The labels of images of so many classes, which tell what is right, and of no network what it loses."""
        return cls(name=name, kind=Output.SOFTMAX, classes=classes)

    @property
    def is_network(self) -> bool:
        """Whether it gives scores of its own, that others can be near to or far from."""
        return self.scores is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The baseline's scores of a batch, and the answers that they are."""

    scores: Scores
    answers: Answers


def answered_by_baseline(baseline: Baseline, labels: NDArray[np.int64]) -> Callable[[Batch], Expected]:
    """The function with which the baseline answers a batch; `labels` (n,) are those of all images."""

    def answer(batch: Batch) -> Expected:
        truth = labels[batch.places]
        values = _certain(truth, baseline.classes) if baseline.scores is None else baseline.scores(batch.pixels)
        scores = _scores(values, baseline.kind)
        return Expected(scores=scores, answers=answers_of(scores, scores, truth))

    return answer


def answered_by(
    subject: Subject, baseline: Baseline, labels: NDArray[np.int64]
) -> Callable[[Batch, Expected], tuple[Answers, NDArray[Any]]]:
    """The function with which an artifact answers a batch: the answers, and its raw outputs (n, classes).

    Distances in steps of the output's scale are counted only where the baseline gives the same kind of scores.
    """
    affine = subject.output.affine
    step = affine.scale[0] if affine is not None and subject.kind is baseline.kind else None

    def answer(batch: Batch, expected: Expected) -> tuple[Answers, NDArray[Any]]:
        raw = subject.raw(batch.pixels)
        scores = _scores(subject.scores(raw), subject.kind, step=step)
        return answers_of(scores, expected.scores, labels[batch.places]), raw

    return answer


def _certain(truth: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The scores (n, classes) of who knows the true classes (n,)."""
    scores = np.zeros((len(truth), classes), np.float32)
    scores[np.arange(len(truth)), truth] = 1
    return scores


def _scores(values: NDArray[np.float32], kind: Output, *, step: float | None = None) -> Scores:
    return Scores(values=values, probabilities=probabilities(values, kind), step=step)
