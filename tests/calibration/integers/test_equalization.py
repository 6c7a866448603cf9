"""Factors and shifts of channels: where each is cut, and what depthwise and full convolutions allow."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mbexport.calibration.integers.equalization import (
    BINS,
    ChannelValues,
    Scaling,
    balanced_scaling,
    best_limits,
    free_scaling,
    rounding_variances,
)


def values(*channels: dict[float, float], high: float = 6.0) -> ChannelValues:
    """Counts by value for each channel."""
    counts, zeros = np.zeros((len(channels), BINS)), np.zeros(len(channels))
    for number, channel in enumerate(channels):
        for value, count in channel.items():
            counts[number, min(int(value / high * BINS), BINS - 1)] += count
            zeros[number] += count if value == 0 else 0
    return ChannelValues(high=high, counts=counts, zeros=zeros)


def spread(low: float, high: float) -> dict[float, float]:
    """A channel whose values lie evenly in between."""
    return dict.fromkeys(np.linspace(low, high, 50), 10.0)


def heavy(channels: int = 1) -> np.ndarray:
    """A 1 x 1 kernel whose weights round to codes without an error to speak of beside the activations'."""
    return np.full((1, 1, channels, 4), 1e3, np.float32)


def test_a_channel_is_cut_above_what_it_holds():
    lows, highs = best_limits(values({5.9: 10}, {0.5: 10}, {0.0: 10, 3.0: 1}))
    np.testing.assert_allclose(highs, [6, 0.5, 3], rtol=0.1)
    np.testing.assert_array_equal(lows, 0)


def test_a_rare_outlier_is_cut_if_the_rest_gains_more():
    _, (few, many) = best_limits(values({1.0: 100_000_000, 1.6: 1}, {1.0: 100, 1.6: 1}))
    assert few < 1.1
    assert many > 1.5


def test_a_channel_without_values_costs_nothing_anywhere():
    for may_shift in (False, True):
        (low,), (high,) = best_limits(values({0.0: 5}), may_shift=may_shift)
        assert 0 <= low < high <= 6


def test_free_factors_fill_the_range():
    found = free_scaling(values({6.0: 1}, {1.5: 1}, {0.001: 1}))
    np.testing.assert_allclose(found.factors, [1, 4, 1 / 0.02], rtol=0.05)
    np.testing.assert_array_equal(found.shifts, 0)


def test_a_channel_that_the_next_layer_weighs_heavily_is_scaled_more():
    kernel = np.ones((1, 1, 2, 4), np.float32)
    kernel[0, 0, 1] = 0.01
    factors = balanced_scaling(values({0.5: 1}, {0.5: 1}), kernel, may_shift=False).factors
    assert factors[0] > factors[1] >= 1
    assert factors[0] <= free_scaling(values({0.5: 1})).factors[0]


@given(st.lists(st.floats(0.05, 6), min_size=1, max_size=5), st.integers(0, 99))
def test_factors_are_at_least_one_and_at_most_free(tops, seed):
    given_values = values(*({top: 3.0} for top in tops))
    kernel = np.random.default_rng(seed).normal(size=(1, 1, len(tops), 3)).astype(np.float32)
    found = balanced_scaling(given_values, kernel, may_shift=False)
    assert (found.factors >= 1).all()
    assert (found.factors <= free_scaling(given_values).factors + 1e-12).all()
    assert (found.shifts == 0).all()


@pytest.mark.parametrize("high", [0.5, 20.0])
def test_limits_scale_with_the_range(high):
    _, found = best_limits(values({high / 2: 10}, high=high))
    np.testing.assert_allclose(found, high / 2, rtol=0.05)


def test_a_channel_far_above_zero_is_shifted_where_a_convolution_without_padding_reads_it():
    far = values(spread(4, 5), {0.0: 1.0, **spread(0, 6)})
    found = balanced_scaling(far, heavy(channels=2), may_shift=True)
    assert found.shifts == pytest.approx([3.96, 0])  # candidates are 0.12 apart
    # What the end of the range stands for is at most 6, where the ReLU6 cuts: 3.96 + 6 / factor.
    assert found.factors[0] >= 6 / (6 - 3.96) - 1e-9
    assert found.factors[1] == pytest.approx(1)
    assert (balanced_scaling(far, heavy(channels=2), may_shift=False).shifts == 0).all()
    assert (free_scaling(far).shifts == 0).all()


def test_a_shift_and_a_factor_are_where_the_values_are_stored_best():
    (low,), (high,) = best_limits(values(spread(4, 5)), may_shift=True)
    assert (low, high) == pytest.approx((3.96, 5.04), abs=0.07)


def test_zeros_below_a_shift_forbid_it():
    (low,), _ = best_limits(values({0.0: 10.0, **spread(4, 5)}), may_shift=True)
    assert low == 0


CHANNEL = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(channels=st.lists(CHANNEL, min_size=1, max_size=4), high=st.sampled_from([0.5, 6.0]), seed=st.integers(0, 9))
@example(channels=[[0.66, 0.83]], high=6.0, seed=0)
@example(channels=[[1.0, 1.0]], high=6.0, seed=0)
@example(channels=[[0.0, 0.0]], high=6.0, seed=0)
def test_no_code_stands_for_more_than_a_relu_lets_through(channels, high, seed):
    given_values = values(*(spread(low * high, top * high) for low, top in channels), high=high)
    kernel = np.random.default_rng(seed).normal(size=(1, 1, len(channels), 3)).astype(np.float32)
    found = balanced_scaling(given_values, kernel, may_shift=True)
    assert (found.shifts >= 0).all()
    assert (found.shifts + high / found.factors <= high * (1 + 1e-9)).all()


@given(channels=st.lists(CHANNEL, min_size=1, max_size=4), high=st.sampled_from([0.5, 6.0]))
def test_limits_lie_in_the_range_whether_or_not_it_is_shifted(channels, high):
    given_values = values(*(spread(low * high, top * high) for low, top in channels), high=high)
    for may_shift in (False, True):
        lows, highs = best_limits(given_values, may_shift=may_shift)
        assert (lows >= 0).all()
        assert (lows < highs).all()
        assert (highs <= high * (1 + 1e-9)).all()


def test_rounding_variances_by_hand():
    # 3 is the bin that ends at 3.0234, whose middle 3.06 = 51 % of 6 holds: steps of 3.06 / 255 = 0.012. Zeros are
    # not rounded.
    found = rounding_variances(values({3.0: 3, 0.0: 1}, {3.0: 1}, {0.0: 1}))
    np.testing.assert_allclose(found, [0.75 * 0.012**2 / 12, 0.012**2 / 12, 0])


def test_channels_are_taken_with_all_that_is_known_of_them():
    found = values({6.0: 1}, {0.0: 2, 3.0: 2}).taken(np.array([1, 0, 1]))
    np.testing.assert_array_equal(found.zeros, [2, 0, 2])
    np.testing.assert_array_equal(found.counts.argmax(axis=1), [0, BINS - 1, 0])
    assert found.high == 6


def test_a_scaling_by_hand():
    scaling = Scaling(factors=np.array([1.0, 4.0]), shifts=np.array([0.0, 3.0]))
    moved = scaling.moved(np.array([0.5, -0.5]))
    np.testing.assert_array_equal((5 - scaling.shifts) * scaling.factors, [5, 8])
    np.testing.assert_array_equal((5 - moved.shifts) * moved.factors, [5.5, 7.5])
    np.testing.assert_array_equal((5 - scaling.in_steps(0.5).shifts) * scaling.in_steps(0.5).factors, [10, 16])


@given(st.floats(-10, 10), st.floats(1, 64), st.floats(-6, 6), st.floats(-1, 1), st.floats(0.01, 1))
def test_what_is_stored_moves_by_what_was_said_and_in_steps_of_codes(value, factor, shift, by, scale):
    scaling = Scaling(factors=np.array([factor]), shifts=np.array([shift]))
    stored = (value - scaling.shifts) * scaling.factors
    moved = scaling.moved(np.array([by]))
    np.testing.assert_allclose((value - moved.shifts) * moved.factors, stored + by, atol=1e-9)
    steps = scaling.in_steps(scale)
    np.testing.assert_allclose((value - steps.shifts) * steps.factors * scale, stored, atol=1e-9)
