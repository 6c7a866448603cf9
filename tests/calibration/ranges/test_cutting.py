"""Ranges that are cut out of histograms: by hand, and laws that hold for any values."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.choices import Observer
from mbexport.calibration.ranges.cutting import (
    Histogram,
    entropy_range,
    mse_range,
    percentile_range,
    squared_error,
    widest,
)

CUTS = {"percentile": percentile_range, "mse": mse_range, "entropy": entropy_range}
VALUES = st.floats(-1e4, 1e4, width=32).map(lambda value: value if abs(value) > 1e-2 else 0.0)
FEW = 25  # each tries hundreds of ranges
TENSORS = arrays.arrays(np.float32, st.integers(1, 40), elements=VALUES)


def seen(*values: object) -> Histogram:
    histogram = Histogram()
    for part in values:
        histogram.add(np.array(part, np.float32))
    return histogram


def error(values: np.ndarray, interval: Range) -> float:
    """The sum of squared errors of the values themselves, not of their bins."""
    affine = activation_affine(interval)
    return float(((affine.dequantize(affine.quantize(values)) - values).astype(np.float64) ** 2).sum())


THOUSAND = np.arange(1, 1001, dtype=np.float32)


@pytest.mark.parametrize(("percentile", "high"), [(100, 1000), (99, 990), (90, 900), (50, 500)])
def test_percentile_of_one_side_leaves_out_the_greatest(percentile, high):
    # 1 to 1000: a bin is 1/8 wide, 1024 being the power of two above.
    interval = percentile_range(seen(THOUSAND), percentile)
    assert (interval.low, interval.high) == (0, pytest.approx(high, abs=1 / 8))


def test_percentile_of_two_sides_leaves_out_half_on_either():
    interval = percentile_range(seen(THOUSAND, -THOUSAND), 90)  # of 2000 values 100 on each side
    assert (interval.low, interval.high) == (pytest.approx(-900, abs=1 / 8), pytest.approx(900, abs=1 / 8))


def test_percentile_counts_zeros():
    # 1000 values and 9000 zeros: 1 % of all are 100 values.
    interval = percentile_range(seen(THOUSAND, np.zeros(9000)), 99)
    assert interval.high == pytest.approx(900, abs=1 / 8)


def test_default_percentile_leaves_out_one_of_ten_thousand():
    interval = percentile_range(seen(np.full(19_999, 1.0), 5.0))
    assert interval.high == pytest.approx(1, abs=8 / 8192)
    assert percentile_range(seen(np.full(9_000, 1.0), 5.0)).high == 5


def test_mse_gives_up_an_outlier_that_costs_less_than_finer_steps_gain():
    # Codes 0 to 255 fit these exactly. With 340 as the end a step is 4/3: of four values one fits, two are off by 1/3
    # and one by 2/3, 1/6 in the mean square: 256000 / 6. Cutting the outlier costs 85 ** 2 = 7225.
    values = np.concatenate([np.repeat(np.arange(256), 1000), [340]]).astype(np.float32)
    interval = mse_range(seen(values))
    assert (interval.low, interval.high) == (0, pytest.approx(255, rel=1e-3))
    assert error(values, Range(low=0, high=340)) == pytest.approx(256_000 / 6, rel=1e-3)
    assert error(values, interval) == pytest.approx(7225, rel=0.1)


def test_mse_keeps_an_outlier_that_costs_more():
    values = np.concatenate([np.repeat(np.arange(256), 1000), [340] * 100]).astype(np.float32)
    assert mse_range(seen(values)).high == pytest.approx(340, rel=0.01)  # 100 * 7225 is more than 256000 / 6


def test_mse_cuts_a_normal_distribution_on_both_sides_where_it_is_known_to_be_best():
    # Banner et al. 2018, "Post training 4-bit quantization of convolutional networks" (arXiv 1810.05723): 3.92
    # standard deviations for 8 bits.
    values = np.random.default_rng(0).normal(0, 1, 1_000_000)
    interval = mse_range(seen(values, [-8, 10]))
    assert interval.low == pytest.approx(-3.92, rel=0.1)
    assert interval.high == pytest.approx(3.92, rel=0.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_entropy_gives_up_a_long_tail(sign):
    rng = np.random.default_rng(0)
    values = sign * np.abs(rng.normal(0, 1, 100_000))
    interval = entropy_range(seen(values, [100 * sign]))
    assert 2.5 < abs(interval.low + interval.high) < 10
    assert interval.low * interval.high == 0


def test_entropy_keeps_values_that_are_spread_evenly():
    assert entropy_range(seen(np.linspace(0.001, 1, 100_000))).high == pytest.approx(1, rel=0.05)


def test_entropy_of_two_sides_cuts_in_proportion():
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    interval = entropy_range(seen(values, [-50, 100]))
    assert interval.high == pytest.approx(-2 * interval.low)
    assert 2.5 < interval.high < 20


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_tensor_that_is_always_zero_has_a_range(cut):
    assert cut(seen(0, 0)) == Range(low=0, high=1e-4)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@settings(max_examples=FEW)
@given(TENSORS)
@example(np.array([3, 3, 3], np.float32))
@example(np.array([-3], np.float32))
def test_a_range_holds_zero_and_lies_within_what_was_seen(cut, values):
    interval, whole = cut(seen(values)), widest(min(0.0, values.min()), max(0.0, values.max()))
    assert whole.low <= interval.low <= 0 <= interval.high <= whole.high


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@settings(max_examples=FEW)
@given(TENSORS, st.integers(-3, 8))
def test_scaling_values_scales_the_range(cut, values, exponent):
    assume(np.abs(values).max() > 1)
    factor = 2.0**exponent  # a power of two, which moves no value into another bin
    before, after = cut(seen(values)), cut(seen(values * factor))
    assert (after.low, after.high) == pytest.approx((before.low * factor, before.high * factor), abs=2e-4 * factor)


@given(TENSORS)
def test_the_whole_hundred_percent_are_the_least_and_the_greatest(values):
    expected = widest(min(0.0, values.min()), max(0.0, values.max()))
    found, bin_width = percentile_range(seen(values), 100), seen(values).width
    assert found.low == pytest.approx(expected.low, abs=bin_width)
    assert found.high == pytest.approx(expected.high, abs=bin_width)


@settings(max_examples=FEW)
@given(TENSORS)
def test_mse_is_never_worse_than_the_least_and_the_greatest(values):
    histogram = seen(values)
    whole = widest(histogram.low, histogram.high)
    assert squared_error(histogram, mse_range(histogram)) <= squared_error(histogram, whole)


@given(TENSORS, st.floats(0.1, 1))
def test_squared_error_of_bins_is_that_of_the_values_but_for_a_bin(values, share):
    nonzero = values[values != 0]
    assume(nonzero.size)
    histogram = seen(values)
    interval = widest(share * histogram.low, share * histogram.high)
    off = math.sqrt(nonzero.size) * (histogram.width + activation_affine(interval).scale[0])
    assert math.sqrt(squared_error(histogram, interval)) == pytest.approx(math.sqrt(error(values, interval)), abs=off)


@given(st.lists(VALUES, min_size=1, max_size=20), st.floats(1, 100))
def test_a_larger_percentile_never_narrows(values, percentile):
    histogram = seen(values)
    few, more = percentile_range(histogram, percentile), percentile_range(histogram, 100)
    assert more.low <= few.low
    assert few.high <= more.high


def test_every_observer_but_auto_has_a_test_here_or_beside_it():
    assert {*CUTS, "minmax", "moving-average", "auto"} == set(Observer)
