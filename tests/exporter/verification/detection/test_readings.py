"""Labelled objects that are read in another way: by hand, and for detectors that are right."""

import math

import numpy as np
from detection_scenes import scenes
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.detection.boxes import Boxes, Detections
from mbexport.verification.detection.readings import best_reading

WIDE, HIGH = [0.1, 0.2, 0.2, 0.9], [0.2, 0.1, 0.9, 0.2]


def found(*boxes: tuple[list[float], int]) -> list[Detections]:
    return [Detections.of([corners for corners, _ in boxes], [cls for _, cls in boxes], [0.9] * len(boxes))]


def labelled(*boxes: tuple[list[float], int]) -> list[Boxes]:
    return [Boxes.of([corners for corners, _ in boxes], [cls for _, cls in boxes])]


def test_boxes_that_are_turned_by_hand():
    best = best_reading(found((HIGH, 0)), labelled((WIDE, 0)), 1)
    assert (best.name, best.ap50) == ("x and y of the labelled boxes swapped", 1)


def test_classes_that_are_one_off_by_hand():
    """The last class has none above it: its objects are asked of nobody."""
    objects = labelled((WIDE, 0), (HIGH, 1))
    higher = best_reading(found((WIDE, 1), (HIGH, 2)), objects, 2)
    assert (higher.name, higher.ap50) == ("the labelled classes one higher", 1)
    lower = best_reading(found((HIGH, 0)), objects, 2)
    assert (lower.name, lower.ap50) == ("the labelled classes one lower", 1)


def test_without_objects_nothing_is_known():
    assert math.isnan(best_reading(found((WIDE, 0)), [Boxes.of([], [])], 1).ap50)
    assert best_reading(found((WIDE, 0)), labelled((WIDE, 0)), 1).ap50 == 0  # no other class, and turned it is another


@given(st.integers(0, 1000))
def test_a_detector_that_is_right_is_not_better_otherwise(seed):
    drawn = scenes(seed, images=12)
    perfect = [Detections.of(each.corners, each.classes, np.ones(len(each))) for each in drawn.truth]
    assert best_reading(perfect, drawn.truth, 3).ap50 < 1
