"""The ranges of a detector's outputs: cut where nothing is lost, and never worse than that of all values."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbexport.calibration.affine import INT8_MIN, Range, activation_affine
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.ranges.heads import codes_range, scores_range
from mbexport.calibration.ranges.logits import rounded
from mbexport.models.detection.heads import Heads

DETECTOR = DetectorMeasure(heads=Heads(anchors=(3,)))
FLOOR = math.log(0.01 / 0.99)
LOGITS = hnp.arrays(np.float32, 30, elements=st.floats(-30, 10, width=32))
CODES = hnp.arrays(np.float32, (12, 4), elements=st.floats(-20, 20, width=32))
SHARES = hnp.arrays(np.float32, 12, elements=st.floats(0, 1, width=32))


def lost(teacher: Any, logits: Any, interval: Range) -> float:
    found = DETECTOR.score_divergences(np.float64(teacher), np.float64(rounded(logits, interval)))
    return float(np.asarray(found).sum())


def squared(teacher: Any, codes: Any, shares: Any, interval: Range) -> float:
    return float(shares @ np.square(teacher - rounded(codes, interval)).sum(axis=1))


def whole(values: Any) -> Range:
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return Range(low=low, high=max(high, low + 1e-4))


def test_logits_are_cut_one_step_below_the_least_score() -> None:
    # What thousands of anchors of the background have, and a few that see something.
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.uniform(-30, -8, 5000), rng.uniform(-4, 2, 300)]).astype(np.float32)
    found = scores_range(DETECTOR, logits, logits)
    step = activation_affine(found).scale[0]
    assert FLOOR - 2 * step < found.low < FLOOR
    assert found.high == pytest.approx(logits.max(), rel=0.06)
    assert lost(logits, logits, found) < 0.1 * lost(logits, logits, whole(logits))


@given(LOGITS, LOGITS)
@example(np.full(30, -9, np.float32), np.full(30, -9, np.float32))
@example(np.full(30, -2, np.float32), np.full(30, -2, np.float32))
@example(np.zeros(30, np.float32), np.zeros(30, np.float32))
def test_a_range_of_scores_is_never_worse_than_that_of_all_values(teacher: Any, logits: Any) -> None:
    found, all_values = scores_range(DETECTOR, teacher, logits), whole(logits)
    assert all_values.low <= found.low <= 0 <= found.high <= all_values.high
    assert lost(teacher, logits, found) <= lost(teacher, logits, all_values) + 1e-4


@given(LOGITS)
def test_the_lowest_code_of_a_range_that_was_cut_is_no_detection(logits: Any) -> None:
    found = scores_range(DETECTOR, logits, logits)
    lowest = activation_affine(found).dequantize(np.array(INT8_MIN))
    assert lowest < FLOOR or found.low == min(0, logits.min())


def test_codes_are_cut_where_no_box_may_be_shown() -> None:
    rng = np.random.default_rng(0)
    codes = rng.uniform(-2, 2, (500, 4)).astype(np.float32)
    codes[::10] *= 10
    shares = np.ones(500, np.float32)
    assert codes_range(codes, codes, shares).high > 0.9 * codes.max()
    shares[::10] = 0
    assert codes_range(codes, codes, shares).high == pytest.approx(0.4 * codes.max())


@given(CODES, CODES, SHARES)
@example(np.zeros((12, 4), np.float32), np.zeros((12, 4), np.float32), np.ones(12, np.float32))
def test_a_range_of_codes_is_never_worse_than_that_of_all_values(teacher: Any, codes: Any, shares: Any) -> None:
    found = codes_range(teacher, codes, shares)
    limit = squared(teacher, codes, shares, whole(codes))
    assert squared(teacher, codes, shares, found) <= limit * (1 + 1e-5) + 1e-6
    assert whole(codes).low <= found.low <= 0 <= found.high <= whole(codes).high
