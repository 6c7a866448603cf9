"""Geometry of boxes: numbers by hand, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.detection.boxes import Boxes, Detections, areas, clipped, iou, to_centers, to_corners
from mbexport.models.detection.settings import PostProcess

sides = st.tuples(*(st.floats(0, 1, width=32) for _ in range(4))).map(
    lambda ends: [min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3])]
)
boxes = st.lists(sides, max_size=5).map(lambda rows: np.array(rows, np.float32).reshape(-1, 4))


def test_overlap_by_hand():
    first = np.array([[0, 0, 0.5, 0.5], [0, 0, 1, 1], [0.2, 0.2, 0.1, 0.4]], np.float32)
    second = np.array([[0, 0.25, 0.5, 0.75]], np.float32)
    assert areas(first).tolist() == [0.25, 1, 0]  # the third is turned round
    assert np.allclose(iou(first, second)[:, 0], [0.125 / 0.375, 0.25, 0])
    assert iou(first[2:], first[2:]).tolist() == [[0]]


def test_centers_by_hand():
    assert to_centers(np.array([[0.25, 0.5, 0.75, 1]], np.float32)).tolist() == [[0.5, 0.75, 0.5, 0.5]]


@given(boxes, boxes)
def test_overlap_is_a_symmetric_share(first, second):
    found = iou(first, second)
    assert found.shape == (len(first), len(second))
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    assert np.array_equal(found, iou(second, first).T)
    own = iou(first, first).diagonal()
    assert np.allclose(own[areas(first) > 0], 1)


@given(boxes)
def test_centers_and_back(corners):
    assert np.allclose(to_corners(to_centers(corners)), corners, atol=1e-6)


def test_what_reaches_beyond_the_image_is_cut_off():
    assert clipped(np.array([[-0.5, 0.25, 1.5, 2]], np.float32)).tolist() == [[0, 0.25, 1, 1]]


def test_rows_are_taken_by_place_and_by_mask():
    objects = Boxes.of([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], [3, 4], [False, True])
    assert objects.take(np.array([1])).classes.tolist() == [4]
    assert objects.take(~objects.is_difficult).classes.tolist() == [3]
    assert len(Boxes.of([], [])) == 0
    assert len(Boxes.of([], []).corners.T) == 4
    found = Detections.of([[0, 0, 1, 1]], [1], [0.5])
    assert (len(found), len(found.take(found.scores > 0.6))) == (1, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"score_threshold": 0.0}, "score threshold must be in (0, 1), got 0"),
        ({"score_threshold": float("nan")}, "score threshold must be in (0, 1), got nan"),
        ({"iou_threshold": 1.0}, "IoU threshold must be in (0, 1), got 1"),
        ({"max_detections": 0}, "max detections must be from 1 to 1000, got 0"),
    ],
)
def test_settings_outside_their_range_are_refused(values, message):
    with pytest.raises(OptionError) as error:
        PostProcess(**values)
    assert message in str(error.value)
