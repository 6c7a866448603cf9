"""Turns what a comparison found into the words of report.json (schema 1).

Fractions and probabilities are 0..1; a number that was not measured stays NaN, for which the report has a word.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from mbexport.verify.classification.answers import NO_ANSWER
from mbexport.verify.classification.classes import ClassCount, Confusion, Disagreement
from mbexport.verify.classification.comparison import Accuracy, Difference, Pair
from mbexport.verify.classification.kernel_paths import Paths
from mbexport.verify.statistics import Distances, Histogram, Interval

Json = dict[str, Any]

_NO_ANSWER_WORDS: Final = "no answer"


def accuracy_json(found: Accuracy, labels: Sequence[str]) -> Json:
    """What an artifact's entry says from `samples` to `disagreements`; `labels` are the classes in words, in order."""
    return {
        **baseline_json(found),
        "agreement": found.agreement,
        "agreement_ci95": _interval(found.agreement_ci95),
        "difference": None if found.difference is None else _difference(found.difference),
        "max_abs_error": found.max_abs_error,
        "mean_abs_error": found.error.mean,
        "error_histogram": _histogram(found.error.histogram),
        "lsb": None if found.lsb is None else _lsb(found.lsb),
        "tied": found.tied,
        "distinct_outputs": found.distinct_outputs,
        "per_class": [_class_count(count, labels) for count in found.classes.shown],
        "worst_classes": [_class_count(count, labels) for count in found.classes.worst],
        "confusions": [_confusion(confusion, labels) for confusion in found.classes.confusions],
        "disagreements": {
            "count": found.disagreement_count,
            "worst": [_disagreement(one, labels) for one in found.disagreements],
        },
    }


def baseline_json(found: Accuracy) -> Json:
    """What the entries of the reference and of an artifact both say."""
    return {
        "samples": found.samples,
        "top1": found.top1,
        "top1_ci95": _interval(found.top1_ci95),
        "top5": found.top5,
        "top5_ci95": _interval(found.top5_ci95),
    }


def pair_json(pair: Pair) -> Json:
    """Two artifacts with the same codes, without their speeds."""
    return {
        "a": pair.a,
        "b": pair.b,
        "agreement": pair.agreement,
        "agreement_ci95": _interval(pair.agreement_ci95),
        "max_lsb": pair.max_lsb,
        "mean_lsb": pair.lsb.mean,
        "lsb_histogram": _histogram(pair.lsb.histogram),
        "differing_fraction": pair.differing_fraction,
        "is_twin": pair.is_twin,
    }


def paths_json(found: Paths) -> Json:
    """The kernel paths of one file."""
    return {
        "file": found.file,
        "images": found.images,
        "paths": list(found.names),
        "pairs": [{**asdict(pair), "agreement_ci95": _interval(pair.agreement_ci95)} for pair in found.pairs],
    }


def word_of(index: int, labels: Sequence[str]) -> str:
    """A class in words, its number where there are none."""
    if index == NO_ANSWER:
        return _NO_ANSWER_WORDS
    return labels[index] if index < len(labels) else str(index)


def _interval(ends: Interval) -> list[float] | None:
    """[low, high]; None where there is nothing between them."""
    return None if math.isnan(sum(ends)) else list(ends)


def _difference(found: Difference) -> Json:
    return {
        "top1_drop": found.top1_drop,
        "bootstrap_ci95": _interval(found.bootstrap_ci95),
        "score_ci95": _interval(found.score_ci95),
        "only_reference_right": found.only_reference_right,
        "only_artifact_right": found.only_artifact_right,
        "mcnemar_p": found.mcnemar_p,
    }


def _histogram(found: Histogram) -> Json:
    return {"edges": list(found.edges), "counts": list(found.counts)}


def _lsb(found: Distances) -> Json:
    return {"max": found.largest, "mean": found.mean, "histogram": _histogram(found.histogram)}


def _class_count(count: ClassCount, labels: Sequence[str]) -> Json:
    return {
        "class": count.index,
        "label": word_of(count.index, labels),
        "images": count.images,
        "reference_right": count.reference_right,
        "right": count.right,
    }


def _confusion(confusion: Confusion, labels: Sequence[str]) -> Json:
    return {
        "class": confusion.index,
        "label": word_of(confusion.index, labels),
        "answer": confusion.answer,
        "answer_label": word_of(confusion.answer, labels),
        "count": confusion.count,
        "reference_count": confusion.reference_count,
    }


def _disagreement(one: Disagreement, labels: Sequence[str]) -> Json:
    return {
        "image": one.image,
        "label": None if one.label is None else word_of(one.label, labels),
        "reference": word_of(one.reference, labels),
        "artifact": word_of(one.artifact, labels),
        "reference_score": one.reference_score,
        "artifact_score": one.artifact_score,
        "severity": one.severity,
    }
