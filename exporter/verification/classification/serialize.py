"""Serialize the results of a comparison for report.json (schema 1).

Fractions and probabilities are 0..1; a number that was not measured stays NaN, which the report writes as null.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from mbexport.verification.classification.answers import NO_ANSWER
from mbexport.verification.classification.classes import ClassCount, Confusion, Disagreement
from mbexport.verification.classification.comparison import Accuracy, Difference
from mbexport.verification.classification.kernel_paths import PathPair
from mbexport.verification.classification.pairs import Pair
from mbexport.verification.kernel_paths import Paths, paths_entry
from mbexport.verification.statistics import Distances, Histogram, Interval

Json = dict[str, Any]

_NO_ANSWER_LABEL: Final = "no answer"


def accuracy_json(accuracy: Accuracy, labels: Sequence[str]) -> Json:
    """An artifact's entry from `samples` to `disagreements`; `labels` are the names of the classes, in order."""
    return {
        **baseline_json(accuracy),
        "agreement": accuracy.agreement,
        "agreement_ci95": _interval(accuracy.agreement_ci95),
        "difference": None if accuracy.difference is None else _difference(accuracy.difference),
        "max_abs_error": accuracy.max_abs_error,
        "mean_abs_error": accuracy.error.mean,
        "score_error": accuracy.score_error,
        "score_error_ci95": _interval(accuracy.score_error_ci95),
        "error_histogram": _histogram(accuracy.error.histogram),
        "lsb": None if accuracy.lsb is None else _lsb(accuracy.lsb),
        "tied": accuracy.tied,
        "distinct_outputs": accuracy.distinct_outputs,
        "per_class": [_class_count(count, labels) for count in accuracy.classes.shown],
        "worst_classes": [_class_count(count, labels) for count in accuracy.classes.worst],
        "confusions": [_confusion(confusion, labels) for confusion in accuracy.classes.confusions],
        "disagreements": {
            "count": accuracy.disagreement_count,
            "worst": [_disagreement(one, labels) for one in accuracy.disagreements],
        },
    }


def baseline_json(accuracy: Accuracy) -> Json:
    """The keys that the entries of the reference and of an artifact share."""
    return {
        "samples": accuracy.samples,
        "top1": accuracy.top1,
        "top1_ci95": _interval(accuracy.top1_ci95),
        "top5": accuracy.top5,
        "top5_ci95": _interval(accuracy.top5_ci95),
    }


def pair_json(pair: Pair) -> Json:
    """The entry of two artifacts with the same codes, without their latencies."""
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
        "conflict": pair.conflict,
    }


def paths_json(paths: Paths[PathPair]) -> Json:
    """The entry of one file's kernel paths."""
    return paths_entry(paths, pair_of_paths_json)


def label_of(index: int, labels: Sequence[str]) -> str:
    """The name of a class; its number where it has no name."""
    if index == NO_ANSWER:
        return _NO_ANSWER_LABEL
    return labels[index] if index < len(labels) else str(index)


def pair_of_paths_json(pair: PathPair) -> Json:
    """The entry of two ways to run one file; `failure` only where there is one."""
    entry = {**asdict(pair), "agreement_ci95": _interval(pair.agreement_ci95)}
    return {key: value for key, value in entry.items() if key != "failure" or value is not None}


def _interval(ends: Interval) -> list[float] | None:
    """[low, high]; None where an end was not measured, or is not finite."""
    return list(ends) if math.isfinite(sum(map(abs, ends))) else None


def _difference(difference: Difference) -> Json:
    return {
        "top1_drop": difference.top1_drop,
        "bootstrap_ci95": _interval(difference.bootstrap_ci95),
        "score_ci95": _interval(difference.score_ci95),
        "only_reference_right": difference.only_reference_right,
        "only_artifact_right": difference.only_artifact_right,
        "mcnemar_p": difference.mcnemar_p,
    }


def _histogram(histogram: Histogram) -> Json:
    return {"edges": list(histogram.edges), "counts": list(histogram.counts)}


def _lsb(steps: Distances) -> Json:
    return {"max": steps.largest, "mean": steps.mean, "histogram": _histogram(steps.histogram)}


def _class_count(count: ClassCount, labels: Sequence[str]) -> Json:
    return {
        "class": count.index,
        "label": label_of(count.index, labels),
        "images": count.images,
        "reference_right": count.reference_right,
        "right": count.right,
    }


def _confusion(confusion: Confusion, labels: Sequence[str]) -> Json:
    return {
        "class": confusion.index,
        "label": label_of(confusion.index, labels),
        "answer": confusion.answer,
        "answer_label": label_of(confusion.answer, labels),
        "count": confusion.count,
        "reference_count": confusion.reference_count,
    }


def _disagreement(one: Disagreement, labels: Sequence[str]) -> Json:
    return {
        "image": one.image,
        "label": None if one.label is None else label_of(one.label, labels),
        "reference": label_of(one.reference, labels),
        "artifact": label_of(one.artifact, labels),
        "reference_score": one.reference_score,
        "artifact_score": one.artifact_score,
        "severity": one.severity,
    }
