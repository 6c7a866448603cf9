"""Intervals over sittings: by hand where nothing varies, and how often they hold the truth where sittings differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbexport.errors import StageError
from mbexport.latency.intervals import median_interval, ratio_interval

REPETITIONS = 100


def simulated(rng, *, sittings=16, runs=8, ratio=1.0, between=0.03, within=0.05, bursts=0.1, common=0.2):
    """Two artifacts in the same sittings: each sitting is kinder to one of them, and some rounds are slow for both."""
    shared = np.exp(rng.normal(0, common, (sittings, 1))) * np.where(
        rng.random((sittings, runs)) < bursts, rng.uniform(1.3, 4, (sittings, runs)), 1
    )
    pair = [
        shared * np.exp(rng.normal(0, between, (sittings, 1)) + rng.normal(0, within, (sittings, runs)))
        for _ in range(2)
    ]
    return tuple(pair[0] * ratio), tuple(pair[1])


def share_holding(truth, **settings_of):
    rng, held = np.random.default_rng(5), 0
    for _ in range(REPETITIONS):
        a, b = simulated(rng, ratio=truth, **settings_of)
        found = ratio_interval(a, b)
        held += found.low <= truth <= found.high
    return held / REPETITIONS


def test_times_that_never_vary_are_known_exactly():
    times = (np.array([2.0, 2.0]), np.array([2.0]))
    for found, wanted in ((median_interval(times), 2), (ratio_interval(times, tuple(each / 4 for each in times)), 4)):
        assert (found.value, found.low, found.high) == pytest.approx((wanted,) * 3)
        assert found.relative_error == pytest.approx(0, abs=1e-9)


def test_a_disturbed_quarter_of_the_sittings_at_each_end_does_not_move_the_value():
    times = tuple(np.full(3, value) for value in (2.0, 2.0, 2.0, 2.0, 50.0, 60.0, 0.1, 0.2))
    assert median_interval(times).value == pytest.approx(2)
    assert ratio_interval(times, (np.ones(3),) * 8).value == pytest.approx(2)


def test_what_slows_a_whole_sitting_cancels():
    slow = tuple(np.array([factor]) for factor in (1.0, 3.0, 10.0, 2.0))
    found = ratio_interval(tuple(each * 1.1 for each in slow), slow)
    assert (found.value, found.low, found.high) == pytest.approx((1.1,) * 3)
    assert median_interval(slow).relative_error > 1


def test_two_sittings_by_hand():
    # A resample of sittings whose medians are 1 and e^2 has both of the first, one of each, or both of the second: the
    # mean of the logarithms is 0, 1 or 2, with the probabilities 1/4, 1/2, 1/4. Its standard deviation is sqrt(1/2);
    # times sqrt(2 / 1), times Student's quantile for one degree of freedom, 12.706.
    found = median_interval((np.array([1.0]), np.array([np.exp(2)])))
    assert np.log([found.low, found.value, found.high]) == pytest.approx([1 - 12.706, 1, 1 + 12.706], rel=0.05)


@pytest.mark.parametrize("truth", [1.0, 1.1, 0.4])
@pytest.mark.parametrize(
    "noise",
    [
        {},
        {"bursts": 0.0, "between": 0.0},
        {"between": 0.1, "within": 0.01},
        {"sittings": 3, "runs": 4},
        {"sittings": 2, "runs": 1},
    ],
    ids=["all kinds", "runs alone", "sittings alone", "three sittings", "two runs"],
)
def test_interval_holds_the_true_ratio_in_at_least_95_of_100(truth, noise):
    assert share_holding(truth, **noise) >= 0.95


def test_interval_tells_a_tenth_with_the_usual_effort():
    rng = np.random.default_rng(6)
    lows = [ratio_interval(*simulated(rng, ratio=1.1, between=0.02, runs=16)).low for _ in range(REPETITIONS)]
    assert min(lows) > 1


def test_rounds_alone_give_intervals_that_sittings_contradict():
    # What this module is for: the same times as if all were of one sitting, whose rounds are independent.
    rng, held = np.random.default_rng(7), 0
    for _ in range(REPETITIONS):
        a, b = simulated(rng, between=0.05, within=0.02)
        flat = [tuple(np.concatenate(each)[:, None]) for each in (a, b)]
        found = ratio_interval(*flat)
        held += found.low <= 1 <= found.high
    assert held < 0.9 * REPETITIONS


TIMES = st.lists(st.lists(st.floats(0.01, 100), min_size=1, max_size=6).map(np.array), min_size=2, max_size=6).map(
    tuple
)


@settings(max_examples=25)
@given(TIMES, st.floats(0.1, 10))
def test_ratio_of_scaled_times_is_the_scale_beyond_doubt(times, scale):
    # The same rounds are drawn of both, so what slows both alike cancels in every resample.
    found = ratio_interval(tuple(each * scale for each in times), times)
    assert (found.value, found.low, found.high) == pytest.approx((scale,) * 3)


@settings(max_examples=25)
@given(TIMES, TIMES)
def test_interval_surrounds_its_ratio_and_turns_round_with_it(a, b):
    sittings = min(len(a), len(b))
    a, b = a[:sittings], b[:sittings]
    found, turned = ratio_interval(a, b), ratio_interval(b, a)
    assert found.low <= found.value <= found.high
    assert [turned.low, turned.value, turned.high] == pytest.approx([1 / found.high, 1 / found.value, 1 / found.low])


def test_many_runs_of_a_sitting_are_thinned_and_stay_honest():
    assert share_holding(1.0, sittings=4, runs=300) >= 0.95


@pytest.mark.parametrize("sittings", [0, 1])
def test_fewer_than_two_sittings_say_nothing(sittings):
    with pytest.raises(StageError, match=f"at least 2, got {sittings}"):
        median_interval((np.ones(5),) * sittings)


def test_both_must_be_of_the_same_sittings():
    with pytest.raises(StageError, match="the same sittings"):
        ratio_interval((np.ones(2),) * 3, (np.ones(2),) * 2)
