"""Reduce the scores of a classifier, beside those of a reference, to a few numbers an image.

These columns are all that is kept of an image: 50,000 images take some megabytes, whatever their size.
Answers are the class with the highest score, the lowest index where several tie, the same way for every artifact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NO_ANSWER: Final = -1  # where a score is no number
_TOP: Final = 5
_DIGEST_BYTES: Final = 8  # two of 50,000 different outputs are taken for one with a probability of 7e-11

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one model gives for a batch: scores as real numbers (n, classes), and the `probabilities` they stand for.

    `step` is the scale of its output's codes, if it has one and the scores of the reference are of the same kind.
    """

    values: NDArray[np.float32]
    probabilities: Floats
    step: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers of one model: one entry an image, in the order of the images.

    `answer` is a class or `NO_ANSWER`; `own` is the probability that the model gives to it, `of_reference` the one
    that the model gives to the reference's answer, `by_reference` the one that the reference gives to the model's
    answer. `worst` and `mean` are the largest and the mean distance from the reference's probabilities, `worst_lsb`
    and `mean_lsb` those of scores in steps of the output's scale, NaN without one. `digest` differs where outputs do.
    """

    answer: NDArray[np.int64]
    is_in_top5: NDArray[np.bool_]
    is_tied: NDArray[np.bool_]
    own: Floats
    of_reference: Floats
    by_reference: Floats
    worst: Floats
    mean: Floats
    worst_lsb: Floats
    mean_lsb: Floats
    digest: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.answer)


def answers_of(scores: Scores, expected: Scores, truth: NDArray[np.int64]) -> Answers:
    """The answers to a batch, beside the scores that the reference gives; `truth` (n,) are the true classes."""
    answer, wanted = best(scores.values), best(expected.values)
    distance = np.abs(scores.probabilities - expected.probabilities)
    if scores.step is None:
        steps = np.full((len(answer), 1), np.nan)
    else:
        steps = np.abs(scores.values.astype(np.float64) - expected.values) / scores.step
    return Answers(
        answer=answer,
        is_in_top5=_ranks(scores.values, truth) < _TOP,
        is_tied=(scores.values == scores.values.max(axis=1, keepdims=True)).sum(axis=1) > 1,
        own=_picked(scores.probabilities, answer),
        of_reference=_picked(scores.probabilities, wanted),
        by_reference=_picked(expected.probabilities, answer),
        worst=distance.max(axis=1),  # max keeps a NaN
        mean=distance.mean(axis=1),
        worst_lsb=steps.max(axis=1),
        mean_lsb=steps.mean(axis=1),
        digest=_digests(scores.values),
    )


def best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The answers (n,) of scores (n, classes)."""
    answers: NDArray[np.int64] = np.where(np.isnan(scores).any(axis=1), NO_ANSWER, scores.argmax(axis=1))
    return answers


def joined(batches: Sequence[Answers]) -> Answers:
    """The answers of all `batches`, at least one, in their order."""
    names = [field.name for field in fields(Answers)]
    return Answers(**{name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names})


def empty() -> Answers:
    """The answers to no image."""
    nothing = np.zeros((0, 1), np.float32)
    scores = Scores(values=nothing, probabilities=nothing.astype(np.float64))
    return answers_of(scores, scores, np.zeros(0, np.int64))


def _ranks(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many classes come before the true one: those with a higher score, and the lower of those with the same.

    At least as many as there are classes where none of them is the true one, or where a score is no number.
    """
    count, classes = scores.shape
    is_known = (truth >= 0) & (truth < classes) & ~np.isnan(scores).any(axis=1)
    column = np.where(is_known, truth, 0)[:, None]
    own = np.take_along_axis(scores, column, axis=1) if count else scores[:, :1]
    before = (scores > own) | ((scores == own) & (np.arange(classes) < column))
    ranks: NDArray[np.int64] = np.where(is_known, before.sum(axis=1), max(classes, _TOP))
    return ranks


def _picked(values: Floats, classes: NDArray[np.int64]) -> Floats:
    """The value (n,) of one class of each row (n, classes); NaN for `NO_ANSWER`."""
    rows = np.arange(len(values))
    return np.where(classes == NO_ANSWER, np.nan, values[rows, np.maximum(classes, 0)])


def _digests(rows: NDArray[Any]) -> NDArray[np.uint64]:
    content = b"".join(blake2b(row.tobytes(), digest_size=_DIGEST_BYTES).digest() for row in rows)
    return np.frombuffer(content, np.uint64)
