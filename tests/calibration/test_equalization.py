"""Factors between channels: where a channel is cut, what a depthwise and a full convolution allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.equalization import BINS, ChannelValues, balanced_factors, best_limits, free_factors


def values(*channels: dict[float, float], high: float = 6.0) -> ChannelValues:
    """Counts by value for each channel."""
    counts, zeros = np.zeros((len(channels), BINS)), np.zeros(len(channels))
    squares = np.zeros(len(channels))
    for number, channel in enumerate(channels):
        for value, count in channel.items():
            counts[number, min(int(value / high * BINS), BINS - 1)] += count
            squares[number] += count * value**2
            zeros[number] += count if value == 0 else 0
        squares[number] /= sum(channel.values())
    return ChannelValues(high=high, counts=counts, zeros=zeros, mean_squares=squares)


def test_a_channel_is_cut_above_what_it_holds():
    found = best_limits(values({5.9: 10}, {0.5: 10}, {0.0: 10, 3.0: 1}))
    np.testing.assert_allclose(found, [6, 0.5, 3], rtol=0.1)


def test_a_rare_outlier_is_cut_if_the_rest_gains_more():
    few, many = best_limits(values({1.0: 100_000_000, 1.6: 1}, {1.0: 100, 1.6: 1}))
    assert few < 1.1
    assert many > 1.5


def test_a_channel_without_values_costs_nothing_anywhere():
    assert 0 < best_limits(values({0.0: 5}))[0] <= 6


def test_free_factors_fill_the_range():
    np.testing.assert_allclose(free_factors(values({6.0: 1}, {1.5: 1}, {0.001: 1})), [1, 4, 1 / 0.02], rtol=0.05)


def test_a_channel_that_the_next_layer_weighs_heavily_is_scaled_more():
    kernel = np.ones((1, 1, 2, 4), np.float32)
    kernel[0, 0, 1] = 0.01
    factors = balanced_factors(values({0.5: 1}, {0.5: 1}), kernel)
    assert factors[0] > factors[1] >= 1
    assert factors[0] <= free_factors(values({0.5: 1}))[0]


@given(st.lists(st.floats(0.05, 6), min_size=1, max_size=5), st.integers(0, 99))
def test_factors_are_at_least_one_and_at_most_free(tops, seed):
    given_values = values(*({top: 3.0} for top in tops))
    kernel = np.random.default_rng(seed).normal(size=(1, 1, len(tops), 3)).astype(np.float32)
    factors = balanced_factors(given_values, kernel)
    assert (factors >= 1).all()
    assert (factors <= free_factors(given_values) + 1e-12).all()


@pytest.mark.parametrize("high", [0.5, 20.0])
def test_limits_scale_with_the_range(high):
    found = best_limits(values({high / 2: 10}, high=high))
    np.testing.assert_allclose(found, high / 2, rtol=0.05)
