"""Serialize the results of a comparison of detectors for report.json.

Shares, scores and precisions are 0..1, boxes ymin, xmin, ymax, xmax in fractions of the image. A number that was not
measured stays NaN, which the report writes as null.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mbexport.models.detection.average_precision import AveragePrecision
from mbexport.verification.detection.comparison import Comparison, Quality, Verification
from mbexport.verification.detection.pairs import NOTHING_PAIRED, Pair, PairedShares
from mbexport.verification.detection.worst import Shown, WorstImage
from mbexport.verification.kernel_paths import Paths, paths_entry
from mbexport.verification.statistics import Interval

Json = dict[str, Any]

_MOST_CLASSES: Final = 20  # that are shown; of more, only those that lost most
_WORST_CLASSES: Final = 10
_DIGITS: Final = 4  # of a curve, a score and a corner: less than a pixel of what a page draws


def comparison_json(found: Comparison, labels: Sequence[str], reference: Quality | None) -> Json:
    """An artifact's entry from `samples` to `worst_images`; `labels` are the names of the classes, in order."""
    drop = found.drop
    return {
        "samples": found.samples,
        **quality_json(found.quality),
        "ap_drop": None if drop is None else drop.ap,
        "ap_drop_ci95": None if drop is None else _interval(drop.ap_ci95),
        "ap50_drop": None if drop is None else drop.ap50,
        "ap50_drop_ci95": None if drop is None else _interval(drop.ap50_ci95),
        **paired_json(found.paired or NOTHING_PAIRED),
        "inside": found.inside,
        "ordered": found.ordered,
        "distinct_outputs": found.distinct_outputs,
        "per_class": _class_rows(found.quality.precision, labels, None if reference is None else reference.precision),
        "worst_images": [_worst(one, labels) for one in found.worst],
    }


def quality_json(found: Quality) -> Json:
    """The keys that the entries of the reference and of an artifact share; `curve` is the mean of all classes'."""
    precision = found.precision
    return {
        "ap": precision.ap,
        "ap_ci95": _interval(found.ap_ci95),
        "ap50": precision.ap50,
        "ap50_ci95": _interval(found.ap50_ci95),
        "ap75": precision.ap75,
        "ap_by_size": dict(precision.by_size),
        "chance": found.chance,
        "otherwise": {"reading": found.otherwise.name, "ap50": found.otherwise.ap50},
        "curve": _rounded(precision.curves[precision.objects > 0].mean(axis=0)) if precision.objects.any() else [],
    }


def reference_json(found: Verification, labels: Sequence[str]) -> Json:
    """The reference's entry from `samples` to `per_class`; beside labels alone its precisions are NaN."""
    quality = found.reference
    return {
        "samples": found.samples,
        "objects": found.objects,
        "classes_seen": found.classes_seen,
        **(_UNKNOWN_QUALITY if quality is None else quality_json(quality)),
        "per_class": [] if quality is None else _reference_rows(quality.precision, labels),
    }


_UNKNOWN_QUALITY: Final[Json] = {
    "ap": math.nan,
    "ap_ci95": None,
    "ap50": math.nan,
    "ap50_ci95": None,
    "ap75": math.nan,
    "ap_by_size": {},
    "chance": math.nan,
    "otherwise": None,
    "curve": [],
}


def paired_json(found: PairedShares) -> Json:
    """How many detections two detectors have in common: of the first one's, and of the second one's."""
    return {
        "paired": found.kept.value,
        "paired_ci95": _interval(found.kept.ci95),
        "paired_count": found.kept.count,
        "paired_back": found.backed.value,
        "paired_back_ci95": _interval(found.backed.ci95),
        "paired_back_count": found.backed.count,
        "score_error": found.score_error,
    }


def pair_json(pair: Pair) -> Json:
    """The entry of two files or two kernel paths; `failure` only where there is one."""
    return {
        "a": pair.a,
        "b": pair.b,
        **paired_json(pair.paired),
        "alike": pair.alike,
        "alike_ci95": _interval(pair.alike_ci95),
    } | ({} if pair.failure is None else {"failure": pair.failure})


def paths_json(paths: Paths[Pair]) -> Json:
    """The entry of one file's kernel paths."""
    return paths_entry(paths, pair_json)


def _reference_rows(own: AveragePrecision, labels: Sequence[str]) -> list[Json]:
    return [_class_row(own, index, labels) for index in _shown_classes(own)]


def _class_rows(own: AveragePrecision, labels: Sequence[str], reference: AveragePrecision | None) -> list[Json]:
    """A row for each class that is shown, with the reference's precision."""
    rows = [_class_row(own, index, labels) for index in _shown_classes(own, reference)]
    for row in rows:
        index = row["class"]
        row["reference_ap"] = math.nan if reference is None else float(reference.per_class[index])
        row["reference_ap50"] = math.nan if reference is None else float(reference.per_class50[index])
    return rows


def _shown_classes(own: AveragePrecision, reference: AveragePrecision | None = None) -> list[int]:
    """Those that have objects: all of at most 20, else the 10 that lost most; without a reference those found least."""
    seen = np.flatnonzero(own.objects)
    if len(seen) > _MOST_CLASSES:
        lost = -own.per_class if reference is None else reference.per_class - own.per_class
        seen = seen[np.argsort(-lost[seen], kind="stable")[:_WORST_CLASSES]]
    return list(map(int, seen))


def _class_row(own: AveragePrecision, index: int, labels: Sequence[str]) -> Json:
    return {
        "class": index,
        "label": labels[index],
        "objects": int(own.objects[index]),
        "ap": float(own.per_class[index]),
        "ap50": float(own.per_class50[index]),
        "curve": _rounded(own.curves[index]),
    }


def _worst(one: WorstImage, labels: Sequence[str]) -> Json:
    return {
        "image": one.name,
        "lost": one.lost,
        "invented": one.invented,
        "reference": _boxes(one.reference, labels),
        "artifact": _boxes(one.artifact, labels),
    }


def _boxes(shown: Shown, labels: Sequence[str]) -> list[Json]:
    found = shown.detections
    return [
        {
            "box": _rounded(corners),
            "label": labels[index] if 0 <= index < len(labels) else str(index),
            "score": round(score, _DIGITS),
            "paired": is_paired,
        }
        for corners, index, score, is_paired in zip(
            found.corners, found.classes.tolist(), found.scores.tolist(), shown.is_paired.tolist(), strict=True
        )
    ]


def _rounded(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]


def _interval(ends: Interval) -> list[float] | None:
    """[low, high]; None where it was not measured."""
    return list(ends) if math.isfinite(sum(ends)) else None
