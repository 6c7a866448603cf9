"""What anchors learn of boxes: by hand, and laws."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.imageset import ImageSet
from mbexport.models.detection.anchors import AnchorTable, anchors_of, decode, encode
from mbexport.models.detection.boxes import Boxes, iou, to_centers, to_corners
from mbexport.models.resolution import Resolution
from mbexport.models.training.detection.targets import BACKGROUND, IGNORED, assigned, packed_boxes

TABLE = AnchorTable(scales=(0.3, 0.6))
ANCHORS = anchors_of(TABLE, [Resolution.square(4), Resolution.square(2)])
CLASSES = 3

sides = st.tuples(*(st.floats(0, 1, width=32) for _ in range(4))).map(
    lambda ends: [min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3])]
)
an_object = st.tuples(
    sides.filter(lambda b: min(b[2] - b[0], b[3] - b[1]) > 1e-2), st.integers(0, CLASSES - 1), st.booleans()
)


def boxed(*boxes: Boxes) -> BoxedImages:
    def never_read(_: int) -> Any:
        raise AssertionError

    labels, names = np.zeros(len(boxes), np.int64), tuple(map(str, range(len(boxes))))
    return BoxedImages(images=ImageSet(labels=labels, names=names, read=never_read), boxes=boxes)


def targets_of(*boxes: Boxes, anchors: Any = ANCHORS) -> tuple[Any, Any]:
    """The codes (images, anchors, 4) and what is learned (images, anchors)."""
    packed = packed_boxes(boxed(*boxes), CLASSES).of(np.arange(len(boxes)))
    found = np.asarray(assigned(tf.constant(packed), anchors, TABLE, CLASSES))
    assert found.dtype == np.float32
    return found[..., :4], found[..., 4]


def test_packed_boxes_by_hand() -> None:
    images = boxed(Boxes.of([], []), Boxes.of([[0, 0, 1, 1], [0, 0.5, 1, 1]], [2, 0], [False, True]))
    packed = packed_boxes(images, 5)
    assert packed.shape == (2, 5)
    none = [0, 0, 0, 0, -1]
    assert packed.of(np.array([1, 0])).tolist() == [[[0, 0, 1, 1, 2], [0, 0.5, 1, 1, 5]], [none, none]]


def test_images_without_any_box_have_a_row_all_the_same() -> None:
    assert packed_boxes(boxed(Boxes.of([], [])), 5).of(np.array([0])).tolist() == [[[0, 0, 0, 0, -1]]]


def test_an_anchor_learns_the_box_it_overlaps_most_a_band_nothing_and_the_rest_background() -> None:
    anchors = to_centers(
        np.array(
            [
                [0, 0, 0.5, 0.5],  # the first box itself
                [0, 0, 0.5, 0.3],  # 0.6 of it
                [0, 0, 0.5, 0.225],  # 0.45 of it: neither way
                [0, 0, 0.5, 0.19],  # 0.38 of it: background
                [0.5, 0.5, 1, 1],  # half of the second, and of nobody else
                [0.75, 0, 1, 0.25],  # nothing
            ],
            np.float32,
        )
    )
    boxes = Boxes.of([[0, 0, 0.5, 0.5], [0.5, 0.5, 0.75, 1]], [2, 0])
    codes, learned = targets_of(boxes, anchors=anchors)
    assert learned.tolist() == [[2, 2, IGNORED, BACKGROUND, 0, BACKGROUND]]
    own = boxes.corners[[0, 0, 0, 0, 1, 0]]
    expected = encode(anchors, own) * (learned[0] >= 0)[:, None]
    np.testing.assert_allclose(codes[0], expected, atol=1e-5)


def test_a_box_that_no_anchor_covers_has_the_nearest_one() -> None:
    tiny = Boxes.of([[0.12, 0.12, 0.13, 0.13]], [1])
    codes, learned = targets_of(tiny)
    (place,) = np.flatnonzero(learned[0] >= 0)
    overlaps = iou(tiny.corners, to_corners(ANCHORS))[0]
    assert overlaps.max() < 0.1
    assert place == overlaps.argmax()
    np.testing.assert_allclose(decode(ANCHORS[[place]], codes[0, [place]]), tiny.corners, atol=1e-6)


def test_of_two_boxes_with_the_same_nearest_anchor_the_nearer_one_has_it() -> None:
    anchors = to_centers(np.array([[0, 0, 0.5, 0.5], [0.6, 0.6, 1, 1]], np.float32))
    boxes = Boxes.of([[0, 0, 0.1, 0.1], [0, 0, 0.2, 0.2]], [1, 2])
    _, learned = targets_of(boxes, anchors=anchors)
    assert learned.tolist() == [[2, BACKGROUND]]


def test_of_difficult_objects_nothing_is_learned() -> None:
    anchors = to_centers(np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.5, 0.5, 1]], np.float32))
    boxes = Boxes.of([[0, 0, 0.5, 0.5], [0.5, 0.5, 0.9, 0.9], [0, 0.9, 0.1, 1]], [1, 2, 0], [True, False, True])
    _, learned = targets_of(boxes, anchors=anchors)
    assert learned.tolist() == [[IGNORED, 2, BACKGROUND]]


def test_without_boxes_all_is_background() -> None:
    codes, learned = targets_of(Boxes.of([], []), Boxes.of([[0, 0, 1, 1]], [0]))
    assert set(learned[0]) == {BACKGROUND}
    assert not codes[0].any()
    assert set(learned[1]) >= {0.0}


@example([([0.25, 0.25, 0.5, 0.5], 0, False)] * 2)
@given(st.lists(an_object, min_size=1, max_size=6))
def test_each_object_is_learned_and_every_anchor_learns_what_it_overlaps(objects: list[Any]) -> None:
    boxes = Boxes.of(*zip(*objects, strict=True))
    (codes,), (learned,) = targets_of(boxes)
    overlaps = iou(to_corners(ANCHORS), boxes.corners)
    found = decode(ANCHORS, codes)
    for place in np.flatnonzero(learned >= 0):
        own = np.isclose(boxes.corners, found[place], atol=1e-4).all(axis=1) & (boxes.classes == learned[place])
        own &= ~boxes.is_difficult
        assert own.any()
        # Its own by overlap, or because it is the best of that box.
        best = overlaps[:, own].max(axis=0)
        assert (overlaps[place, own] >= np.minimum(0.5, best) - 1e-4).any()
    assert (overlaps[learned == BACKGROUND].max(axis=1, initial=0) < 0.4 + 1e-4).all()
    easy = ~boxes.is_difficult
    if easy.any():
        assert (learned >= 0).any()
        for place in np.flatnonzero(overlaps[:, easy].max(axis=1) >= 0.5 + 1e-4):
            assert learned[place] >= 0 or overlaps[place].argmax() in np.flatnonzero(boxes.is_difficult)


@pytest.mark.parametrize("stride", [1, 2])
def test_images_of_a_batch_have_nothing_to_do_with_each_other(stride: int) -> None:
    many = [Boxes.of([[0.1 * k, 0.1, 0.1 * k + 0.3, 0.5]], [k % CLASSES]) for k in range(6)][::stride]
    together = targets_of(*many)
    for number, each in enumerate(many):
        alone = targets_of(each)
        np.testing.assert_array_equal(together[0][number], alone[0][0])
        np.testing.assert_array_equal(together[1][number], alone[1][0])
