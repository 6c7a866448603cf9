"""The range of the logits: what a softmax loses by it, by hand and on logits like a network's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mbexport.calibration.ranges.logits import divergence, logits_range, rounded

LOGITS = hnp.arrays(np.float32, (4, 6), elements=st.floats(-30, 30, width=32))


def test_divergence_by_hand():
    # (1/2, 1/2) from (1/4, 3/4): log 2 + log (2/3), halved.
    found = divergence(np.zeros((1, 2), np.float32), np.array([[0.0, math.log(3)]], np.float32))
    assert found == pytest.approx((math.log(2) + math.log(2 / 3)) / 2, rel=1e-6)


@given(LOGITS, LOGITS)
def test_divergence_is_zero_from_itself_and_never_negative(teacher, logits):
    assert divergence(teacher, teacher) == pytest.approx(0, abs=1e-12)
    assert divergence(teacher, logits) >= -1e-12


def test_the_low_end_is_cut_where_no_probability_lies():
    # The largest logit is near 20 everywhere; what lies at -40 has e^-60 of its probability.
    logits = np.random.default_rng(0).uniform(-40, 0, (64, 50)).astype(np.float32)
    logits[:, 0] = np.linspace(19, 20, 64)
    logits[:, 1] = np.linspace(20, 19, 64)
    found = logits_range(logits, logits)
    assert found.low > -20
    assert found.high == pytest.approx(20)
    whole = np.float32([logits.min(), 20])
    assert divergence(logits, rounded(logits, found)) < 0.5 * divergence(
        logits, rounded(logits, type(found)(low=float(whole[0]), high=20.0))
    )


@given(LOGITS)
def test_a_range_is_never_worse_than_that_of_all_values(logits):
    found = logits_range(logits, logits)
    low, high = min(0.0, float(logits.min())), max(0.0, float(logits.max()))
    assert low <= found.low <= 0 <= found.high <= max(high, low + 1e-4) + 1e-6
    whole = type(found)(low=low, high=max(high, low + 1e-4))
    assert divergence(logits, rounded(logits, found)) <= divergence(logits, rounded(logits, whole)) + 1e-9


def test_logits_that_are_all_alike_have_a_range():
    assert logits_range(np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float32)).high > 0
