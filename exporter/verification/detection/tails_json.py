"""Serialize what is known of detectors' tails and anchors for report.json: thresholds, how exact, how long."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from mbexport.formats.detection_tail import Decoding, DetectionTail
from mbexport.formats.subject import DetectorSubject
from mbexport.latency.performance import latency_json
from mbexport.models.detection.anchors import best_overlaps
from mbexport.models.detection.boxes import Boxes, Centers
from mbexport.verification.detection.pairing import OBJECT_OVERLAP
from mbexport.verification.detection.tails import TailCheck
from mbexport.verification.statistics import wilson_interval

Json = dict[str, Any]

_WORDS: Final = "detection."  # how the properties begin in which a file says its own thresholds


def output_json(subject: DetectorSubject, tail: TailCheck | None) -> Json:
    """What comes out of a detector: the most detections of an image and, of a tail of ours, its thresholds.

    Of raw heads it is what we make of them.
    """
    settings = None if tail is None else asdict(tail.tail.settings)
    return {
        "dtype": subject.runner.outputs[0].dtype,
        "raw": subject.is_raw,
        "detections": subject.detector.most,
        "score_threshold": settings and settings["score_threshold"],
        "iou_threshold": settings and settings["iou_threshold"],
        "conflict": None if tail is None else _conflict(subject.runner.metadata(), tail.tail),
    }


def tail_json(tail: TailCheck | None) -> Json | None:
    """How exact a tail of ours is, and the time of the network without it; None for a file that ends otherwise."""
    if tail is None:
        return None
    return {
        "images": tail.images,
        "alike": tail.alike,
        "alike_ci95": list(tail.alike_ci95),
        "network_ms": None if tail.alone is None else latency_json(tail.alone)["p50"],
        "network_share": None if tail.share is None else tail.share.ratio,
        "network_share_ci95": None if tail.share is None else list(tail.share.ci95),
    }


def anchors_json(decodings: Mapping[str, Decoding], truth: Sequence[Boxes]) -> dict[str, Json]:
    """Of each file, by name, the number of its anchors, and the share of objects that none of them covers."""
    objects = np.concatenate([np.zeros((0, 4), np.float32), *(each.corners[~each.is_difficult] for each in truth)])
    known: dict[bytes, Json] = {}
    for each in decodings.values():
        if each.anchors.tobytes() not in known:
            known[each.anchors.tobytes()] = _coverage(each.anchors, objects)
    return {name: known[each.anchors.tobytes()] for name, each in decodings.items()}


def tails_conflict(one: Decoding | None, other: Decoding | None) -> str | None:
    """What two twins do that should be the same, in words; None where it is, or is not known.

    Thresholds are compared where both have some.
    """
    if one is None or other is None:
        return None
    a, b = one.thresholds, other.thresholds
    names = () if a is None or b is None else asdict(a)
    differing = [
        f"{name.replace('_', ' ')} {getattr(a, name):g} beside {getattr(b, name):g}"
        for name in names
        if getattr(a, name) != getattr(b, name)
    ]
    if not np.array_equal(one.anchors, other.anchors) or one.code_scales != other.code_scales:
        differing.append("other anchors")
    return f"their tails differ: {', '.join(differing)}" if differing else None


def _coverage(anchors: Centers, objects: Any) -> Json:
    missed = int((best_overlaps(anchors, objects) < OBJECT_OVERLAP).sum())
    return {
        "count": len(anchors),
        "objects": len(objects),
        "uncovered": missed / len(objects) if len(objects) else None,
        "uncovered_ci95": list(wilson_interval(missed, len(objects))) if len(objects) else None,
    }


def _conflict(words: Mapping[str, str], tail: DetectionTail) -> str | None:
    """Where what a file says of its thresholds is not what its tail has; None where it says nothing, or the same."""
    said = {name: text for name, text in words.items() if name.startswith(_WORDS)}
    wrong = [
        f"{name} {text} beside {tail.properties.get(name)}"
        for name, text in said.items()
        if text != tail.properties.get(name)
    ]
    return f"its words are not what its tail has: {', '.join(wrong)}" if wrong else None
