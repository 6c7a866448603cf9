"""What counts as the same objects: equal scores in any order, each object once, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from clients.same_objects import in_pixels, require_same_objects

from mbexport.models.detection.boxes import Detections

BOXES = [[0.0, 0.0, 0.5, 0.5], [0.2, 0.2, 0.9, 0.9], [0.5, 0.0, 1.0, 0.4]]
OURS = Detections.of(BOXES, [0, 1, 1], [0.9, 0.5, 0.5])
WITHIN = {"scores": 1e-5, "corners": 0.01}


def test_rounding_and_the_order_of_equal_scores_do_not_count():
    require_same_objects(OURS, OURS.take(np.array([0, 2, 1])), **WITHIN)
    require_same_objects(OURS, replace(OURS, corners=OURS.corners + np.float32(0.005)), **WITHIN)
    require_same_objects(OURS.take(np.zeros(0, int)), OURS.take(np.zeros(0, int)), **WITHIN)


@pytest.mark.parametrize(
    "theirs",
    [
        OURS.take(np.array([0, 1])),
        OURS.take(np.array([1, 0, 2])),
        OURS.take(np.array([0, 1, 1])),
        replace(OURS, classes=OURS.classes[::-1]),
        replace(OURS, scores=OURS.scores + np.float32(0.01)),
        replace(OURS, corners=OURS.corners + np.float32(0.02)),
    ],
    ids=["fewer", "another order", "one twice", "other classes", "other scores", "other corners"],
)
def test_everything_else_does(theirs):
    with pytest.raises(AssertionError):
        require_same_objects(OURS, theirs, **WITHIN)


def test_pixels_by_hand():
    assert in_pixels(OURS, 10, 20).corners[1].tolist() == pytest.approx([2, 4, 9, 18])
