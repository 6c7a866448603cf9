"""Outputs as detections: numbers by hand, laws, and the same answers as LiteRT's own op."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postprocess_op import CODE_SCALES, op_detections

from mbexport.models.detection.anchors import decode
from mbexport.models.detection.boxes import Detections, iou
from mbexport.models.detection.postprocess import detect, detect_batch, flattened, sigmoid
from mbexport.models.detection.settings import PostProcess

HALF = PostProcess(score_threshold=0.5, iou_threshold=0.5, max_detections=10)
SETTINGS = st.builds(
    PostProcess,
    score_threshold=st.sampled_from([0.01, 0.25, 0.5]),
    iou_threshold=st.sampled_from([0.3, 0.5, 0.6]),
    max_detections=st.sampled_from([1, 2, 5, 100]),
)


def side_by_side(count: int) -> np.ndarray:
    """Anchors of 0.1 x 0.1 in one row, which do not touch."""
    return np.array([[0.5, 0.05 + place / count, 0.1, 0.05] for place in range(count)], np.float32)


def found(scores, anchors, settings=HALF) -> Detections:
    """The detections at the anchors themselves."""
    table = np.asarray(scores, np.float32).reshape(len(anchors), -1)
    return detect(np.zeros((len(anchors), 4), np.float32), table, np.asarray(anchors, "f4"), CODE_SCALES, settings)


def random_heads(seed: int, *, is_coarse: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, scores and anchors; coarse ones have many equal scores and equal boxes."""
    rng = np.random.default_rng(seed)
    count, classes = rng.integers(1, 200), rng.integers(1, 5)
    codes, scores = rng.normal(0, 2, (count, 4)), rng.uniform(0, 1, (count, classes))
    anchors = rng.uniform(0.02, 1, (count, 4))
    if is_coarse:
        codes, scores, anchors = np.round(codes), np.round(scores * 8) / 8, np.round(anchors * 4) / 4 + 0.125
    return codes.astype(np.float32), scores.astype(np.float32), anchors.astype(np.float32)


def test_codes_by_hand():
    anchors = np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    # Up by half a height, right by a quarter of a width; twice as high, as wide as before.
    codes = np.array([[-5, 2.5, 5 * np.log(2), 0]], np.float32)
    assert np.allclose(decode(anchors, codes, CODE_SCALES), [[0.4 - 0.2, 0.6 - 0.2, 0.4 + 0.2, 0.6 + 0.2]])


def test_of_two_boxes_of_one_class_that_are_one_the_better_is_kept():
    anchors = [[0.5, 0.5, 0.4, 0.4], [0.5, 0.51, 0.4, 0.4]]
    assert found([0.8, 0.9], anchors).scores.tolist() == np.float32([0.9]).tolist()
    both = found([[0.8, 0.1], [0.1, 0.9]], anchors)
    assert (both.classes.tolist(), both.scores.tolist()) == ([1, 0], np.float32([0.9, 0.8]).tolist())


def test_the_threshold_itself_is_enough_for_a_score_and_too_little_for_an_overlap():
    assert len(found([0.5, np.nextafter(np.float32(0.5), np.float32(0))], side_by_side(2))) == 1
    # Of 0.4 x 0.2 and 0.4 x 0.4, one in the other: half.
    whole, half = [0.25, 0.25, 0.5, 0.5], [0.25, 0.25, 0.5, 0.25]
    assert iou(*(decode(np.array([each], "f4"), np.zeros((1, 4), "f4"), CODE_SCALES) for each in (whole, half))) == 0.5
    assert len(found([0.9, 0.8], [whole, half])) == 2


def test_what_a_dropped_box_overlaps_is_kept():
    chain = [[0.5, 0.30, 0.2, 0.2], [0.5, 0.35, 0.2, 0.2], [0.5, 0.40, 0.2, 0.2]]  # 0.6, 0.6, and 1/3
    assert found([0.9, 0.8, 0.7], chain).scores.tolist() == np.float32([0.9, 0.7]).tolist()


def test_the_best_of_all_classes_are_given_and_of_equals_the_lower_class_and_anchor():
    scores = [[0.6, 0.7], [0.7, 0.6], [0.7, 0.9]]
    best = found(scores, side_by_side(3), PostProcess(score_threshold=0.5, max_detections=4))
    assert best.classes.tolist() == [1, 0, 0, 1]
    assert np.allclose(best.corners[:, 1], [0.05 + 2 / 3 - 0.025, 0.05 + 1 / 3 - 0.025, 0.05 + 2 / 3 - 0.025, 0.025])


def test_boxes_are_cut_off_behind_the_question_how_much_they_overlap():
    beyond = [[0.5, 0.0, 1.0, 1.0], [0.5, 0.2, 1.0, 0.6]]  # 0.6 of each other whole, 0.5 / 0.5 inside
    assert found([0.9, 0.8], beyond, PostProcess(score_threshold=0.5)).corners.tolist()[0] == [0, 0, 1, 0.5]
    assert len(found([0.9, 0.8], beyond, PostProcess(score_threshold=0.5))) == 2


def test_a_score_that_is_no_number_is_no_detection():
    assert found([np.nan, 0.9], side_by_side(2)).scores.tolist() == np.float32([0.9]).tolist()
    assert len(found([0.1, 0.2], side_by_side(2))) == 0


@pytest.mark.parametrize("is_coarse", [False, True])
@given(seed=st.integers(0, 10_000), settings=SETTINGS)
def test_answers_are_those_of_the_op(is_coarse, seed, settings):
    codes, scores, anchors = random_heads(seed, is_coarse=is_coarse)
    ours, theirs = (
        detect(codes, scores, anchors, CODE_SCALES, settings),
        op_detections(codes, scores, anchors, settings),
    )
    assert ours.classes.tolist() == theirs.classes.tolist()
    assert ours.scores.tolist() == theirs.scores.tolist()
    assert np.abs(ours.corners - theirs.corners).max(initial=0) <= 2.4e-7  # other machines fuse products and sums


@given(seed=st.integers(0, 10_000), settings=SETTINGS)
def test_detections_are_what_was_asked_for(seed, settings):
    codes, scores, anchors = random_heads(seed, is_coarse=False)
    ours = detect(codes, scores, anchors, CODE_SCALES, settings)
    assert len(ours) <= settings.max_detections
    assert (np.diff(ours.scores) <= 0).all()
    assert (ours.scores >= np.float32(settings.score_threshold)).all()
    assert ((ours.corners >= 0) & (ours.corners <= 1)).all()
    assert len(ours) == 0 or ours.scores[0] == scores.max()


def test_outputs_of_maps_are_flattened_in_the_order_of_the_anchors():
    codes = [np.arange(2 * 2 * 3 * 8).reshape(2, 2, 3, 8), 1000 + np.arange(2 * 12).reshape(2, 1, 1, 12)]
    logits = [np.arange(2 * 2 * 3 * 10).reshape(2, 2, 3, 10), 1000 + np.arange(2 * 15).reshape(2, 1, 1, 15)]
    flat, certain = flattened([codes[0], logits[0], codes[1], logits[1]])
    assert (flat.shape, certain.shape) == ((2, 2 * 3 * 2 + 3, 4), (2, 15, 5))
    assert flat[1, 2 * (1 * 3 + 2) + 1].tolist() == codes[0][1, 1, 2, 4:].tolist()
    assert certain[0, -1].tolist() == logits[1][0, 0, 0, 10:].tolist()


def test_a_batch_is_answered_image_by_image():
    anchors = side_by_side(3)
    logits = np.array([[[[2, -2, -3]]], [[[-2, 3, 4]]]], np.float32)
    ours = detect_batch([np.zeros((2, 1, 1, 12), np.float32), logits], anchors, CODE_SCALES, HALF)
    assert [each.scores.tolist() for each in ours] == [
        sigmoid(np.float32([2])).tolist(),
        sigmoid(np.float32([4, 3])).tolist(),
    ]


def test_sigmoid_of_any_logit():
    assert np.allclose(sigmoid(np.float32([0, np.log(3), -np.log(3)])), [0.5, 0.75, 0.25])
    assert sigmoid(np.float32([-1e4, 1e4])).tolist() == [0, 1]
