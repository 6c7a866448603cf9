"""Compare classifiers with a baseline on images: accuracies, agreements and distances, with their intervals.

Probabilities are compared, whatever an artifact gives; codes where two artifacts have the same ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.answers import Answers, joined
from mbexport.verification.classification.baseline import Baseline
from mbexport.verification.classification.classes import (
    ClassResults,
    Disagreement,
    agreed,
    class_results,
    disagreements,
)
from mbexport.verification.classification.collect import Collected, OnStep, collect
from mbexport.verification.classification.pairs import Pair, compared_pairs
from mbexport.verification.statistics import (
    Distances,
    Interval,
    bootstrap_interval,
    distances,
    mcnemar_p,
    mean_interval,
    score_interval,
    share,
    wilson_interval,
)
from mbexport.verification.streaming import BATCH

_UNKNOWN: Interval = (math.nan, math.nan)
_NO_DISTANCE = distances(np.zeros(0), np.zeros(0))
# Labels are right by definition; and who is right is not nearer to a network than who is wrong.
_NO_ACCURACY: Final[Mapping[str, Any]] = MappingProxyType(
    {"top1": math.nan, "top1_ci95": _UNKNOWN, "top5": math.nan, "top5_ci95": _UNKNOWN}
)
_NO_COMPARISON: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "agreement": math.nan,
        "agreement_ci95": _UNKNOWN,
        "difference": None,
        "lsb": None,
        "max_abs_error": math.nan,
        "error": _NO_DISTANCE,
        "score_error": math.nan,
        "score_error_ci95": _UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The reference's top-1 minus an artifact's, on the same images, with two 95 % intervals of it."""

    top1_drop: float
    bootstrap_ci95: Interval
    score_ci95: Interval
    only_reference_right: int
    only_artifact_right: int
    mcnemar_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The results of one artifact, or of the reference: fractions 0..1 of `samples` images, with 95 % intervals.

    Beside labels alone an artifact has no agreement, difference or distance, and the reference no accuracy.
    Results that need labels are NaN, None or empty without them. `error` and `lsb` are distances from the reference: of
    probabilities, and of scores in steps of the artifact's own output, None if it has no steps or other kinds of
    scores. `score_error` is the mean over the images of each one's largest distance of a probability.
    `distinct_outputs` counts different score vectors, `tied` is the fraction of images with two first places.
    """

    name: str
    samples: int
    top1: float
    top1_ci95: Interval
    top5: float
    agreement: float
    max_abs_error: float
    distinct_outputs: int
    top5_ci95: Interval = _UNKNOWN
    agreement_ci95: Interval = _UNKNOWN
    difference: Difference | None = None
    score_error: float = math.nan
    score_error_ci95: Interval = _UNKNOWN
    error: Distances = _NO_DISTANCE
    lsb: Distances | None = None
    tied: float = math.nan
    classes: ClassResults = field(default_factory=ClassResults)
    disagreement_count: int = 0
    disagreements: tuple[Disagreement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The results of a comparison: of the reference, of each artifact in their order, and of pairs with the same codes.

    `classes_seen` counts the classes among the images; it is 0 without labels.
    """

    reference: Accuracy
    artifacts: tuple[Accuracy, ...]
    pairs: tuple[Pair, ...]
    classes_seen: int


def verify(
    subjects: Sequence[Subject],
    images: ImageSet,
    pixels: Preprocess,
    *,
    reference: Baseline,
    is_labelled: bool = True,
    batch: int = BATCH,
    workers: int | None = None,
    on_step: OnStep = lambda _done, _total, _text: None,
) -> Verification:
    """Feed the same images, cropped and resized by `pixels`, to the reference and to every artifact, and compare.

    The artifacts run side by side, `workers` at once, one a core if it is None; the result does not depend on it.
    Raises `DataError` for an image that cannot be read or an artifact that cannot be run.
    """
    found = collect(subjects, images, pixels, reference=reference, batch=batch, workers=workers, on_step=on_step)
    return compared(found, subjects, images, reference=reference, is_labelled=is_labelled)


def compared(
    collected: Collected, subjects: Sequence[Subject], images: ImageSet, *, reference: Baseline, is_labelled: bool
) -> Verification:
    """What the answers to all images say of the reference and of every artifact."""
    named = _Images(names=images.names, labels=images.labels if is_labelled else None)
    expected, answers = joined(collected.reference), [joined(batches) for batches in collected.artifacts]
    artifacts = [_accuracy(subject.name, own, expected, named) for subject, own in zip(subjects, answers, strict=True)]
    answered = _accuracy(reference.name, expected, expected, named)
    return Verification(
        reference=answered if reference.is_network else replace(answered, **_NO_ACCURACY),
        artifacts=tuple(artifacts if reference.is_network else (replace(one, **_NO_COMPARISON) for one in artifacts)),
        pairs=compared_pairs(subjects, collected.tallies, answers),
        classes_seen=len(np.unique(images.labels)) if is_labelled else 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Images:
    """The images that were answered; `labels` is None where they are not known."""

    names: Sequence[str]
    labels: NDArray[np.int64] | None


def _accuracy(name: str, answers: Answers, reference: Answers, images: _Images) -> Accuracy:
    samples, labels = len(answers), images.labels
    alike = agreed(reference, answers)
    error = distances(answers.worst, answers.mean)
    is_right = None if labels is None else answers.answer == labels
    return Accuracy(
        name=name,
        samples=samples,
        top1=share(is_right),
        top1_ci95=_interval(is_right),
        top5=share(None if labels is None else answers.is_in_top5),
        top5_ci95=_interval(None if labels is None else answers.is_in_top5),
        agreement=share(alike),
        agreement_ci95=_interval(alike),
        difference=None if labels is None else _difference(reference.answer == labels, answers.answer == labels),
        max_abs_error=error.largest,
        score_error=float(answers.worst.mean()) if samples else math.nan,
        score_error_ci95=mean_interval(answers.worst),
        error=error,
        lsb=None if np.isnan(answers.worst_lsb).all() else distances(answers.worst_lsb, answers.mean_lsb),
        tied=share(answers.is_tied),
        distinct_outputs=len(np.unique(answers.digest)),
        classes=ClassResults() if labels is None else class_results(labels, reference.answer, answers.answer),
        disagreement_count=int((~alike).sum()),
        disagreements=disagreements(images.names, labels, reference, answers),
    )


def _difference(reference: NDArray[np.bool_], artifact: NDArray[np.bool_]) -> Difference:
    """The difference, from the images (n,) that the reference and the artifact answered rightly."""
    only_reference, only_artifact = int((reference & ~artifact).sum()), int((artifact & ~reference).sum())
    counts = only_reference, only_artifact, len(reference)
    return Difference(
        top1_drop=(only_reference - only_artifact) / len(reference) if len(reference) else math.nan,
        bootstrap_ci95=bootstrap_interval(*counts),
        score_ci95=score_interval(*counts),
        only_reference_right=only_reference,
        only_artifact_right=only_artifact,
        mcnemar_p=mcnemar_p(only_reference, only_artifact),
    )


def _interval(hits: NDArray[np.bool_] | None) -> Interval:
    return _UNKNOWN if hits is None else wilson_interval(int(hits.sum()), len(hits))
