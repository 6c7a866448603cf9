"""How far a detector's answers are from float's: by hand, as laws, and beside boxes that are decoded."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbexport.calibration.detector_measure import CODES, DetectorMeasure
from mbexport.models.detection.anchors import decode
from mbexport.models.detection.boxes import iou
from mbexport.models.detection.heads import Heads

DETECTOR = DetectorMeasure(heads=Heads(anchors=(1, 2)))
FLOOR = math.log(0.01 / 0.99)
ANSWERS = hnp.arrays(np.float64, (2, 3, CODES + 2), elements=st.floats(-8, 8, width=32))
Array = np.ndarray


def answers(*rows: tuple[float, ...]) -> Array:
    """One image's answers, a row of codes and logits for each anchor: (1, anchors, 4 + classes)."""
    return np.array([rows], np.float64)


def divergence(expected: Array, found: Array, detector: DetectorMeasure = DETECTOR) -> float:
    return float(np.asarray(detector.divergences(tf.constant(expected), tf.constant(found))).mean())


def test_outputs_are_joined_map_by_map_place_by_place_anchor_by_anchor() -> None:
    shapes = {"boxes_0": (1, 1, 2, 4), "classes_0": (1, 1, 2, 3), "boxes_1": (1, 1, 1, 8), "classes_1": (1, 1, 1, 6)}
    starts = dict(zip(shapes, (0, 100, 10, 110), strict=True))
    outputs = {
        name: np.arange(starts[name], starts[name] + np.prod(shape), dtype=np.float32).reshape(shape)
        for name, shape in shapes.items()
    }
    found = DETECTOR.joined(dict(reversed(outputs.items()))).numpy()
    wanted = answers(
        (0, 1, 2, 3, 100, 101, 102),  # the first place of the first map, which has one anchor
        (4, 5, 6, 7, 103, 104, 105),
        (10, 11, 12, 13, 110, 111, 112),  # the one place of the second, which has two
        (14, 15, 16, 17, 113, 114, 115),
    )
    np.testing.assert_array_equal(found, wanted)


def test_scores_by_hand() -> None:
    # 1/2 that becomes 1/4: log 2 + log (2/3), halved.
    found = divergence(answers((0, 0, 0, 0, 0.0)), answers((0, 0, 0, 0, -math.log(3))))
    assert found == pytest.approx((math.log(2) + math.log(2 / 3)) / 2)


def test_classes_and_anchors_add_up() -> None:
    expected = answers((0, 0, 0, 0, 0.0, 0.0), (0, 0, 0, 0, -9.0, 0.0))
    found = answers((0, 0, 0, 0, -math.log(3), 0.0), (0, 0, 0, 0, -9.0, -math.log(3)))
    assert divergence(expected, found) == pytest.approx(math.log(2) + math.log(2 / 3))


@pytest.mark.parametrize(
    ("code", "cost"),
    [
        (0, 0.5 * 2 * 0.1**2),  # two edges, a tenth of the side each, by a score of 1/2
        (1, 0.5 * 2 * 0.1**2),
        (2, 0.5 * 2 * 0.1**2),  # a side that is a fifth longer: a tenth at either end
        (3, 0.5 * 2 * 0.1**2),
    ],
)
def test_codes_by_hand(code: int, cost: float) -> None:
    found = answers((0, 0, 0, 0, 0.0, -9.0))
    found[..., code] = 1
    assert divergence(answers((0, 0, 0, 0, 0.0, -9.0)), found) == pytest.approx(cost)


def test_where_float_sees_nothing_a_box_does_not_matter() -> None:
    assert divergence(answers((0, 0, 0, 0, -5.0)), answers((7, 7, 7, 7, -5.0))) == 0


@given(ANSWERS, ANSWERS)
def test_a_divergence_is_not_negative_and_zero_from_itself(one: Array, other: Array) -> None:
    assert divergence(one, other) >= -1e-12
    assert divergence(one, one) == 0


@given(ANSWERS, ANSWERS)
def test_logits_below_the_least_score_are_all_alike(one: Array, other: Array) -> None:
    cut = [np.concatenate([a[..., :CODES], np.minimum(a[..., CODES:], FLOOR - 1e-9)], axis=-1) for a in (one, other)]
    assert divergence(*cut) == pytest.approx(0, abs=1e-9)
    deeper = [np.where(a < FLOOR, a - 3, a) for a in (one[..., CODES:], other[..., CODES:])]
    is_empty = one[..., CODES:] <= FLOOR
    score = DETECTOR.score_divergences(tf.constant(one[..., CODES:]), tf.constant(other[..., CODES:])).numpy()
    lower = DETECTOR.score_divergences(*map(tf.constant, deeper)).numpy()
    np.testing.assert_allclose(lower[is_empty], score[is_empty], atol=1e-12)


@pytest.mark.parametrize(
    ("expected", "found", "sign"), [(0.0, -9.0, -1), (-9.0, 0.0, 1), (0.0, 1.0, 1), (-9.0, -7.0, 0)]
)
def test_a_gradient_leads_back_to_float(expected: float, found: float, sign: int) -> None:
    logit = tf.Variable([found], dtype=tf.float64)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(DETECTOR.score_divergences(tf.constant([expected], tf.float64), logit))
    gradient = tape.gradient(loss, logit)
    assert np.sign(gradient.numpy().item()) == sign


def test_another_least_score_counts_more_of_the_background() -> None:
    expected, found = answers((0, 0, 0, 0, -6.0)), answers((0, 0, 0, 0, -5.0))
    assert divergence(expected, found) == 0
    assert divergence(expected, found, DetectorMeasure(heads=DETECTOR.heads, least_score=0.001)) > 0


@given(
    hnp.arrays(np.float64, (5, CODES), elements=st.floats(-1, 1)),
    hnp.arrays(np.float64, (5, CODES), elements=st.floats(-0.01, 0.01)),
)
def test_what_codes_cost_are_the_squared_distances_of_the_edges(codes: Array, errors: Array) -> None:
    anchors = np.tile(np.float32([0.4, 0.6, 0.3, 0.2]), (5, 1))
    one, other = (decode(anchors, np.float32(each)) for each in (codes, codes + errors))
    sides = np.tile(one[:, 2:] - one[:, :2], 2)
    moved = np.square((other - one) / sides).sum(axis=1)
    # A shift is a part of the anchor's side, which may be shorter or longer than the box's.
    own = np.float64(sides[:, :2] / anchors[:, 2:])
    weights = DETECTOR.code_weights / np.concatenate([own**2, np.ones_like(own)], axis=1)
    np.testing.assert_allclose((weights * errors**2).sum(axis=1), moved, rtol=0.02, atol=1e-7)


@given(
    hnp.arrays(np.float64, (6, CODES), elements=st.floats(-6, 6)),
    hnp.arrays(np.float64, (6, CODES), elements=st.floats(-6, 6)),
)
def test_overlaps_are_those_of_decoded_boxes(one: Array, other: Array) -> None:
    anchors = np.tile(np.float32([0.5, 0.5, 0.25, 0.125]), (6, 1))
    boxes = [decode(anchors, np.float32(codes)) for codes in (one, other)]
    np.testing.assert_allclose(DETECTOR._overlaps(one, other), np.diagonal(iou(*boxes)), atol=1e-4)


def test_boxes_that_both_show_by_hand() -> None:
    sure, unsure, none = 1.0, -1.0, -9.0  # 0.73, 0.27 and nothing: 0.3 is shown
    expected = answers((0, 0, 0, 0, sure, none), (0, 0, 0, 0, sure, sure), (0, 0, 0, 0, unsure, unsure))
    found = answers((0, 0, 0, 0, sure, none), (0, 0, 2.5, 0, sure, none), (0, 0, 0, 0, sure, none))
    either, both = DETECTOR.shown(expected, found)
    # The first is shown by both. The second is 1.65 times as high; its other class, and the third, one alone shows.
    assert (either.tolist(), both.tolist()) == ([4], [1])


def test_the_mean_divergence_is_that_of_each_box_that_float_shows() -> None:
    expected = np.concatenate([answers((0, 0, 0, 0, 1.0, -9.0)), answers((0, 0, 0, 0, 1.0, 0.0))])
    found = np.concatenate([answers((0, 0, 0, 0, 0.5, -9.0)), answers((0, 0, 0, 0, 1.5, 3.0))])
    assert DETECTOR.boxes(expected).numpy().tolist() == [1, 2]
    whole = np.sum(DETECTOR.divergences(tf.constant(expected), tf.constant(found)))
    assert float(DETECTOR.mean_divergence(tf.constant(expected), tf.constant(found))) == pytest.approx(whole / 3)
    none = answers((0, 0, 0, 0, -2.0, -9.0))  # nothing is shown, and yet something may be wrong
    assert float(DETECTOR.mean_divergence(tf.constant(none), tf.constant(none + 1))) == pytest.approx(
        divergence(none, none + 1)
    )


@given(ANSWERS, ANSWERS)
@example(np.zeros((2, 3, 6)), np.full((2, 3, 6), 100.0))
def test_both_show_no_more_than_either(one: Array, other: Array) -> None:
    either, both = DETECTOR.shown(one, other)
    assert (both <= either).all()
    assert [each.tolist() for each in DETECTOR.shown(other, one)] == [either.tolist(), both.tolist()]
    alone, same = DETECTOR.shown(one, one)
    assert alone.tolist() == same.tolist()


def gradient_of(values: Array, noise: Array) -> Any:
    variable = tf.Variable(values)
    with tf.GradientTape() as tape:
        drawn = DETECTOR.drawn(variable, tf.constant(noise))
    return tape.gradient(drawn, variable).numpy()


def test_what_is_drawn_has_the_curvature_of_the_divergence_as_mean_square() -> None:
    values = answers((0.5, -1, 2, 0, 0.8, -2.0), (3, 0, 1, -2, -1.5, -7.0), (1, 1, 1, 1, -6.0, -8.0))
    noise = np.random.default_rng(0).uniform(size=(4000, *values.shape))
    square = np.square(gradient_of(np.tile(values, (4000, 1, 1)), noise[:, 0])).mean(axis=0)
    step = 1e-3
    for place in np.ndindex(square.shape):
        moved = values.copy()
        moved[(0, *place)] += step
        assert square[place] == pytest.approx(2 * divergence(values, moved) / step**2, rel=0.1, abs=1e-6), place
    assert not square[2].any()  # nothing is there, and no box matters
