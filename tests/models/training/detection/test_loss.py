"""The loss of a detector: by hand, and laws."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.training.detection.loss import PRIOR_BIAS, detection_loss, focal_loss, huber_loss
from mbexport.models.training.detection.targets import BACKGROUND, IGNORED


def loss(targets: Any, outputs: Any) -> float:
    found = detection_loss(tf.constant(targets, tf.float32), tf.constant(outputs, tf.float32))
    assert found.shape == ()
    return float(found)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_a_batch_by_hand() -> None:
    targets = [
        [[0, 0, 0, 0, 1], [0, 0, 0, 0, BACKGROUND]],
        [[0, 0, 0, 0, IGNORED], [1, 2, 0, 0, 0]],
    ]
    outputs = [
        [[0.5, 0, 0, 0, logit(0.2), logit(0.9)], [9, 9, 9, 9, logit(0.5), logit(0.5)]],
        [[9, 9, 9, 9, 9, 9], [1, 5, 0, -0.2, logit(0.6), logit(0.1)]],
    ]
    # Right classes: 0.25 (1 - p)^2 (-ln p). Wrong ones and the background: 0.75 p^2 (-ln (1 - p)).
    scores = 0.25 * 0.1**2 * -math.log(0.9) + 0.75 * 0.2**2 * -math.log(0.8)
    scores += 2 * 0.75 * 0.5**2 * math.log(2)
    scores += 0.25 * 0.4**2 * -math.log(0.6) + 0.75 * 0.1**2 * -math.log(0.9)
    # Huber: half a square up to 1, then the difference less a half.
    codes = 0.5**2 / 2 + (3 - 0.5) + 0.2**2 / 2
    assert loss(targets, outputs) == pytest.approx((scores + codes) / 2, rel=1e-5)


def test_a_batch_without_objects_counts_as_one_with_one() -> None:
    assert loss([[[0, 0, 0, 0, BACKGROUND]]], [[[3, 3, 3, 3, 0.0]]]) == pytest.approx(0.75 * 0.25 * math.log(2))


def test_what_is_ignored_does_not_matter() -> None:
    targets = [[[0, 0, 0, 0, IGNORED], [0, 0, 0, 0, 0]]]
    assert loss(targets, [[[9, 9, 9, 9, 9], [0, 0, 0, 0, 1]]]) == loss(targets, [[[0] * 5, [0, 0, 0, 0, 1]]])


def test_the_bias_at_the_start_stands_for_a_hundredth() -> None:
    assert pytest.approx(-math.log(99)) == PRIOR_BIAS
    assert float(tf.sigmoid(PRIOR_BIAS)) == pytest.approx(0.01)


@pytest.mark.parametrize(("difference", "expected"), [(0, 0), (0.5, 0.125), (-1, 0.5), (3, 2.5), (-11, 10.5)])
def test_huber_by_hand(difference: float, expected: float) -> None:
    assert float(huber_loss(2.0, tf.constant(2.0 + difference))) == pytest.approx(expected)


@given(st.floats(-30, 30), st.sampled_from([0, 1, BACKGROUND]))
def test_scores_that_are_righter_cost_less_and_none_costs_less_than_nothing(x: float, learned: float) -> None:
    at, above = (np.asarray(focal_loss(tf.constant([learned]), tf.constant([[y, y]]))) for y in (x, x + 1))
    assert np.isfinite(at).all()
    assert (at >= 0).all()
    for column in (0, 1):
        assert (above[0, column] <= at[0, column]) == (column == learned) or above[0, column] == at[0, column]


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6))
def test_gradients_are_finite(row: list[float]) -> None:
    outputs = tf.constant([[row, row]], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        found = detection_loss(tf.constant([[[0, 0, 0, 0, 1.0], [0, 0, 0, 0, IGNORED]]]), outputs)
    gradient = np.asarray(tape.gradient(found, outputs))
    assert np.isfinite(gradient).all()
    assert not gradient[0, 1].any()
