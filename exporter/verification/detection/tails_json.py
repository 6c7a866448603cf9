"""Serialize what is known of detectors' tails and anchors for report.json: thresholds, how exact, how long."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mbexport.formats.detection_tail import Decoding
from mbexport.formats.stated_detections import detections_conflict
from mbexport.formats.subject import DetectorSubject
from mbexport.latency.performance import latency_json
from mbexport.models.detection.anchors import best_overlaps
from mbexport.models.detection.boxes import Boxes, Centers
from mbexport.verification.detection.pairing import OBJECT_OVERLAP
from mbexport.verification.detection.tails import TailCheck
from mbexport.verification.statistics import wilson_interval

Json = dict[str, Any]


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
        "conflict": detections_conflict(
            subject.runner.metadata(), subject.detector, None if tail is None else tail.tail
        ),
    }


def tail_json(tail: TailCheck | None, reference: Decoding | None) -> Json | None:
    """How exact a tail of ours is, and the time of the network without it; None for a file that ends otherwise.

    `reference` is the tail of what it is compared with, None where that is not known.
    """
    if tail is None:
        return None
    conflict = None if reference is None else tails_conflict(tail.tail, reference)
    return {
        "same_as_reference": None if reference is None else conflict is None,
        "conflict": conflict,
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


def twins_conflict(one: Decoding | None, other: Decoding | None) -> str | None:
    """What twins do behind their networks that should be the same, in words; None where it is, or neither is known."""
    if one is None and other is None:
        return None
    if one is None or other is None:
        return "their tails differ: one of them ends as our converter has it, the other does not"
    return tails_conflict(one, other)


def tails_conflict(one: Decoding, other: Decoding) -> str | None:
    """What is done otherwise with two networks' outputs, in words; None where it is the same.

    Thresholds are compared where both have some.
    """
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
