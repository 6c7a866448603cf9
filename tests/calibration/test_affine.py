"""Scales, zero points and codes, against numbers worked out by hand and the laws of an affine map."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbexport.calibration.affine import (
    INT8_MAX,
    INT8_MIN,
    MIN_LARGEST_WEIGHT,
    Affine,
    Range,
    activation_affine,
    min_largest_weights,
    weight_affine,
)
from mbexport.errors import OptionError

CODES = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int32)


@st.composite
def intervals(draw: st.DrawFn) -> Range:
    """Ranges from a thousandth to two thousand wide, with zero anywhere in them, ends included."""
    low, high = draw(st.floats(-1e3, 0)), draw(st.floats(0, 1e3))
    return Range(low=low, high=max(high, low + 1e-3))


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (math.nan, 1),
        (-1, math.nan),
        (math.nan, math.nan),
        (-math.inf, 1),
        (0, math.inf),
        (0.1, 1),
        (-2, -0.1),
        (1, -1),
        (0, 0),
    ],
)
def test_a_range_that_is_empty_or_infinite_or_without_zero_is_refused(low, high):
    with pytest.raises(OptionError, match="must hold 0"):
        Range(low=low, high=high)


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-6, 0), (-1e-9, 1e-9), (-3, 4)])
def test_a_range_may_end_at_zero(low, high):
    assert (Range(low=low, high=high).low, Range(low=low, high=high).high) == (low, high)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_not_positive_and_finite_is_refused(scale):
    with pytest.raises(OptionError, match="positive and finite"):
        Affine(scale=(scale,), zero_point=(0,))


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_the_complaint_about_one_scale_of_many_names_that_scale(bad):
    with pytest.raises(OptionError, match=f"got {bad:g}"):
        Affine(scale=(1.0, bad), zero_point=(0, 0), axis=0)


@pytest.mark.parametrize(
    ("scale", "zero_point", "axis"), [((1.0, 1.0), (0, 0), None), ((1.0, 1.0), (0,), 0), ((1.0,), (0, 0), 0)]
)
def test_scales_and_zero_points_must_pair_up(scale, zero_point, axis):
    with pytest.raises(OptionError, match="one scale and zero point"):
        Affine(scale=scale, zero_point=zero_point, axis=axis)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0, 6, 6 / 255, -128),
        (-6, 0, 6 / 255, 127),
        (0, 255, 1, -128),
        (-128, 127, 1, 0),
        (-1, 1, 2 / 255, 0),  # -128 + 127.5 = -0.5, rounded to even
        (-1, 3, 4 / 255, -64),  # -128 + 63.75 = -64.25
        (-3, 1, 4 / 255, 63),  # -128 + 191.25 = 63.25
    ],
)
def test_the_map_of_a_range(low, high, scale, zero_point):
    found = activation_affine(Range(low=low, high=high))
    assert found.scale == (pytest.approx(scale, rel=1e-12),)
    assert (found.zero_point, found.axis) == ((zero_point,), None)


def test_codes_round_half_to_even_before_the_zero_point_is_added():
    real = np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)
    assert Affine(scale=(1.0,), zero_point=(0,)).quantize(real).tolist() == [0, 2, 2, 0, -2]
    assert Affine(scale=(1.0,), zero_point=(1,)).quantize(real).tolist() == [1, 3, 3, 1, -1]


def test_codes_are_clamped_to_the_limits():
    real = np.array([-1e30, -129, -128, 127, 128, 1e30], np.float32)
    one = Affine(scale=(1.0,), zero_point=(0,))
    assert one.quantize(real).tolist() == [-128, -128, -128, 127, 127, 127]
    assert one.quantize(real, low=-127).tolist() == [-127, -127, -127, 127, 127, 127]
    assert one.quantize(real, low=0, high=255).tolist() == [0, 0, 0, 127, 128, 255]


def test_a_channel_axis_gives_each_channel_its_own_map():
    rows = Affine(scale=(1.0, 2.0), zero_point=(0, 10), axis=0)
    columns = Affine(scale=(1.0, 2.0), zero_point=(0, 10), axis=1)
    codes = np.array([[1, 2], [3, 14]])
    assert rows.dequantize(codes).tolist() == [[1, 2], [-14, 8]]
    assert columns.dequantize(codes).tolist() == [[1, -16], [3, 8]]
    assert rows.quantize(rows.dequantize(codes)).tolist() == codes.tolist()


def test_types_of_codes_and_numbers():
    found = activation_affine(Range(low=0, high=6))
    assert found.quantize(np.zeros((2, 3), np.float32)).dtype == np.int32
    assert found.dequantize(np.zeros((2, 3), np.int8)).dtype == np.float32
    assert found.dequantize(np.zeros((2, 3), np.int8)).shape == (2, 3)


@given(intervals(), st.floats(0, 1))
@example(Range(low=-1, high=1), 0.0)
@example(Range(low=-1, high=1), 1.0)
def test_a_number_inside_the_range_moves_by_half_a_step_at_most(interval, fraction):
    real = np.float32(interval.low + fraction * (interval.high - interval.low))
    found = activation_affine(interval)
    back = found.dequantize(found.quantize(np.array([real])))[0]
    step = found.scale[0]
    assert abs(float(back) - float(real)) <= step / 2 + 1e-6 * (interval.high - interval.low)


@given(intervals())
def test_zero_stays_exactly_zero(interval):
    found = activation_affine(interval)
    assert found.dequantize(found.quantize(np.zeros(1, np.float32)))[0] == 0


@given(intervals())
def test_every_code_survives_the_way_to_a_number_and_back(interval):
    found = activation_affine(interval)
    assert np.array_equal(found.quantize(found.dequantize(CODES)), CODES)


@given(intervals(), st.lists(st.floats(-2e3, 2e3, width=32), min_size=2, max_size=20))
def test_a_larger_number_never_has_a_smaller_code(interval, numbers):
    codes = activation_affine(interval).quantize(np.sort(np.array(numbers, np.float32)))
    assert (np.diff(codes) >= 0).all()


def test_weights_have_a_scale_for_each_channel():
    weights = np.zeros((1, 1, 2, 3), np.float32)
    weights[0, 0] = [[1.27, 0, -254], [-0.6, 0, 5]]
    found = weight_affine(weights, axis=3)
    assert found.scale == pytest.approx((0.01, MIN_LARGEST_WEIGHT / 127, 2))
    assert (found.zero_point, found.axis) == ((0, 0, 0), 3)
    # 5 / 2 is a tie, and 2 is even.
    assert found.quantize(weights)[0, 0].tolist() == [[127, 0, -127], [-60, 0, 2]]


def test_a_depthwise_kernel_has_its_channels_on_axis_2():
    kernel = np.array([127, 1.27, -50.4, 0.504], np.float32).reshape(2, 1, 2, 1)
    found = weight_affine(kernel, axis=2)
    assert found.scale == pytest.approx((1, 0.01))
    assert found.quantize(kernel).reshape(2, 2).tolist() == [[127, 127], [-50, 50]]


@given(st.integers(-4, 3))
def test_a_negative_axis_counts_from_the_end(axis):
    weights = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    found = weight_affine(weights, axis=axis)
    assert found == weight_affine(weights, axis=axis % 4)
    assert len(found.scale) == weights.shape[axis]


@given(
    arrays.arrays(
        np.float32,
        (3, 3, 4, 2),
        elements=st.floats(-1e4, 1e4, width=32).map(lambda value: value if abs(value) > 1e-6 else 0.0),
    )
)
def test_the_largest_weight_of_a_channel_is_plus_or_minus_127(weights):
    found = weight_affine(weights, axis=2)
    codes = found.quantize(weights)
    for channel in range(4):
        largest = np.abs(codes[:, :, channel]).max()
        assert largest == (127 if np.any(weights[:, :, channel]) else 0)
    assert np.array_equal(np.sign(codes) * np.sign(weights) >= 0, np.ones(weights.shape, bool))
    assert (np.abs(found.dequantize(codes) - weights) <= np.array(found.scale).reshape(1, 1, 4, 1) * 0.5001).all()


def test_a_channel_is_treated_as_if_its_largest_weight_were_the_least():
    weights = np.float32([[1.27, 0.1, 1e-12], [-0.5, -0.2, 0]])
    found = weight_affine(weights, axis=1, least=np.array([0.5, 1.27, 2.54]))
    assert found.scale == pytest.approx((0.01, 0.01, 0.02))
    assert found.quantize(weights).tolist() == [[127, 10, 0], [-50, -20, 0]]


def test_the_least_weight_of_a_bias_by_hand():
    # 2**30 steps of 1/127 of the weight, each times the scale of the input: 127 * 1.5 / (2**30 * 0.25) = 7.1e-7.
    bias = np.float32([1.5, -1.5, 3, 0, 1e-3, 1e9])
    found = min_largest_weights(bias, input_scale=0.25)
    expected = [7.0967e-7, 7.0967e-7, 1.41934e-6, 5e-7, 5e-7, 473.11]
    assert found == pytest.approx(expected, rel=1e-4)
    assert (found.dtype, found.shape) == (np.float64, (6,))


@given(
    arrays.arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1e-6, 1e3),
    st.sampled_from([0.0, 1e-30, 1e-12, 1e-7, 1e-3, 1.0]),
)
@example(np.float32([1.5, -0.3, 0, 2, 1e6]), 1 / 127.5, 1e-12)
def test_every_bias_may_double_in_32_bits(bias, input_scale, largest):
    weights = np.full((1, 1, 2, 5), largest, np.float32)
    scales = weight_affine(weights, axis=3, least=min_largest_weights(bias, input_scale=input_scale)).scale
    codes = bias.astype(np.float64) / (input_scale * np.array(scales))
    assert (np.abs(codes) <= 2**30 * (1 + 1e-9)).all()
    # TFLite makes no smaller scale: half of 1e-6 / 127.
    assert min(scales) >= 3.9e-9


@given(arrays.arrays(np.float32, 5, elements=st.floats(-10, 10, width=32)))
def test_living_channels_keep_the_scale_of_their_weights(bias):
    weights = np.random.default_rng(0).uniform(0.01, 1, (3, 3, 2, 5)).astype(np.float32)
    least = min_largest_weights(bias, input_scale=6 / 255)
    assert weight_affine(weights, axis=3, least=least) == weight_affine(weights, axis=3, least=np.zeros(5))
