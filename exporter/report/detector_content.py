"""Serialize what only a detector's report has: its anchors with the reasons of their choice, and boxes left out."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mbexport.models.data.boxes.problems import BoxProblems
from mbexport.models.data.splits import Part

if TYPE_CHECKING:
    from mbexport.models.detection.detector import Detector
    from mbexport.models.ssd.anchor_choice import AnchorChoice

Json = dict[str, Any]


def anchors_json(detector: "Detector", choice: "AnchorChoice | None") -> Json:
    """Serialize the shapes of a detector's anchors, and what they were chosen among; nothing where none were chosen."""
    return {
        "count": len(detector.anchors),
        **asdict(detector.table),
        "boxes": None if choice is None else choice.boxes,
        "candidates": [] if choice is None else _candidates(choice),
    }


def _candidates(choice: "AnchorChoice") -> list[Json]:
    return [
        {
            "feature_stride": each.spec.feature_stride,
            "table": each.table_name,
            "uncovered": each.uncovered,
            "uncovered_class_mean": each.class_mean,
            "is_chosen": each is choice.chosen,
            "verdict": verdict,
        }
        for each, verdict in zip(choice.candidates, choice.verdicts, strict=True)
    ]


def boxes_json(found: Mapping[Part, BoxProblems]) -> Json:
    """Serialize how many boxes of the data there are and cannot be used: counts by part and kind, each listed.

    Of a part the first 1000 are listed.
    An image that is missing counts with all its boxes, and as one without any.
    """
    every = BoxProblems.joined(found.values())
    return {
        "checked": every.checked,
        "left_out": every.bad,
        "parts": [
            {
                "part": part.value,
                "checked": each.checked,
                "left_out": {fault.value: count for fault, count in each.counts.items()},
            }
            for part, each in found.items()
        ],
        "listed": [
            {
                "part": part.value,
                "file": problem.file,
                "fault": problem.fault.value,
                "problem": f"{problem.what}, got {problem.got}",
                "boxes": problem.boxes,
            }
            for part, each in found.items()
            for problem in each.listed
        ],
    }
