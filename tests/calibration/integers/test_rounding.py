"""Rounding that changes a layer's output least: by hand, and compared with rounding each weight by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.integers.rounding import (
    compensate,
    compensate_at_best_scale,
    nearest,
    output_errors,
    refit,
)


def error(rounded: np.ndarray, weights: np.ndarray, moments: np.ndarray) -> float:
    """The mean square by which the outputs differ."""
    apart = rounded - weights
    return float(np.einsum("io,ij,jo->", apart, moments, apart))


def correlated(inputs: int, seed: int) -> np.ndarray:
    """Second moments of inputs that move together."""
    drawn = np.random.default_rng(seed).normal(size=(4 * inputs, inputs)) + 2 * np.random.default_rng(seed + 1).normal(
        size=(4 * inputs, 1)
    )
    centred = drawn - drawn.mean(axis=0)
    return centred.T @ centred / len(centred)


def test_nearest_by_hand():
    found = nearest(np.array([[0.24, -9.0], [0.26, 1.4]]), np.array([0.5, 1.0]))
    np.testing.assert_array_equal(found, [[0.0, -9.0], [0.5, 1.0]])
    assert nearest(np.array([[1000.0]]), np.array([1.0])) == 127


def test_an_error_is_made_up_for_by_an_input_that_moves_alike():
    # Two equal inputs: 0.4 + 0.4 = 0.8 is 1 + 0 to the nearest, where each by itself would give 0 + 0.
    moments = np.ones((2, 2))
    found = compensate(np.array([[0.4], [0.4]]), np.array([1.0]), moments)
    assert sorted(found[:, 0].tolist()) == [0, 1]


def test_inputs_that_move_alone_are_rounded_alone():
    weights = np.random.default_rng(0).normal(size=(6, 3))
    scales = np.full(3, 0.1)
    np.testing.assert_array_equal(compensate(weights, scales, np.eye(6)), nearest(weights, scales))


@pytest.mark.parametrize("inputs", [9, 65, 130])
def test_compensated_outputs_err_less(inputs):
    rng = np.random.default_rng(inputs)
    weights, moments = rng.normal(size=(inputs, 8)), correlated(inputs, 7)
    scales = np.abs(weights).max(axis=0) / 7  # coarse
    found = compensate(weights, scales, moments)
    assert error(found, weights, moments) < error(nearest(weights, scales), weights, moments) / (
        1.3 if inputs == 9 else 2
    )
    codes = found / scales
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    assert np.abs(codes).max() <= 127


@pytest.mark.parametrize("moments", [np.zeros((3, 3)), np.full((3, 3), -1e-14)])
def test_inputs_that_never_change_are_no_reason_to_divide_by_zero(moments):
    weights, scales = np.array([[0.4], [0.6], [-2.0]]), np.array([1.0])
    np.testing.assert_array_equal(compensate(weights, scales, moments), [[0], [1], [-2]])
    np.testing.assert_array_equal(refit(weights, moments, moments, ridge=1.0), weights)


def test_refitting_by_hand():
    # Quantization halved the input: twice the weight gives the same, and a ridge as large as the moment half of that.
    own, cross = np.array([[0.25]]), np.array([[0.5]])
    assert refit(np.array([[3.0]]), own, cross, ridge=0.0) == pytest.approx(6)
    assert refit(np.array([[3.0]]), own, cross, ridge=1.0) == pytest.approx((0.5 * 3 + 0.25 * 3) / 0.5)


def test_the_scale_that_fits_all_weights_is_found_by_hand():
    # 1, 2 and 3 thirds are whole multiples of a third; of 0.3 none of them is near one.
    weights, moments = np.array([[1 / 3], [2 / 3], [1.0]]), np.eye(3)
    rounded, scales = compensate_at_best_scale(weights, np.array([[0.3], [1 / 3], [0.35]]), moments)
    assert scales == 1 / 3
    np.testing.assert_allclose(rounded, weights)


def test_each_output_gets_a_scale_of_its_own():
    weights = np.array([[0.3, 0.5], [0.6, 1.0]])
    _, scales = compensate_at_best_scale(weights, np.array([[0.3, 0.3], [0.5, 0.5]]), np.eye(2))
    np.testing.assert_array_equal(scales, [0.3, 0.5])


@given(st.integers(0, 500))
def test_more_scales_to_choose_from_never_err_more(seed):
    rng = np.random.default_rng(seed)
    weights, moments = rng.normal(size=(9, 4)), correlated(9, seed)
    first = np.abs(weights).max(axis=0) / 127
    tried = first * np.array([1.0, 0.9, 0.8])[:, None]
    rounded, scales = compensate_at_best_scale(weights, tried, moments)
    least = output_errors(compensate(weights, first, moments) - weights, moments)
    assert (output_errors(rounded - weights, moments) <= least).all()
    codes = rounded / scales
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-6)


def test_output_errors_are_the_mean_squares_of_what_errors_do():
    inputs = np.random.default_rng(3).normal(size=(50, 4))
    errors = np.random.default_rng(4).normal(size=(4, 2))
    found = output_errors(errors, inputs.T @ inputs / 50)
    np.testing.assert_allclose(found, ((inputs @ errors) ** 2).mean(axis=0))
