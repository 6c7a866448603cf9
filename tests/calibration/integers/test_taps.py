"""Rounding the taps of many channels at once: as one channel at a time, and whatever moments they have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.integers.rounding import compensate, nearest, output_errors, refit
from mbexport.calibration.integers.taps import descend, nearest_taps, refit_taps, round_taps

TAPS = 9


def stacked(seed: int, channels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Weights (channels, taps) and the moments (channels, taps, taps) of inputs that move together."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(channels, 60, TAPS)) @ rng.normal(size=(channels, TAPS, TAPS))
    return rng.normal(size=(channels, TAPS)), inputs.transpose(0, 2, 1) @ inputs / 60


def errors_of(rounded: np.ndarray, weights: np.ndarray, moments: np.ndarray) -> np.ndarray:
    away = rounded - weights
    return np.einsum("ct,cts,cs->c", away, moments, away)


def test_the_scale_that_fits_all_taps_is_found_by_hand() -> None:
    # 1, 2 and 3 thirds are whole multiples of a third; of 0.3 none of them is near one.
    weights, moments = np.array([[1 / 3, 2 / 3, 1.0]]), np.eye(3)[None]
    rounded, scales = round_taps(weights, np.array([[0.3], [1 / 3], [0.35]]), moments)
    assert scales == 1 / 3
    np.testing.assert_allclose(rounded, weights)


@given(seed=st.integers(0, 500))
def test_each_channel_errs_no_more_than_if_it_were_rounded_by_itself(seed: int) -> None:
    weights, moments = stacked(seed)
    tried = np.abs(weights).max(axis=1) / 127 * np.array([1.0, 0.9, 0.8])[:, None]
    rounded, scales = round_taps(weights, tried, moments)
    codes = rounded / scales[:, None]
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-6)
    assert np.abs(codes).max() <= 127 + 1e-6
    found = errors_of(rounded, weights, moments)
    for channel, own in enumerate(moments):
        column = weights[channel, :, None]
        for scale in tried[:, channel, None]:
            alone = output_errors(compensate(column, scale, own) - column, own)[0]
            # Descent minds damped moments, which are a hundredth larger.
            assert found[channel] <= alone * 1.05 + 1e-15


@given(seed=st.integers(0, 500), ridge=st.floats(0.01, 2))
def test_fitting_is_that_of_one_channel_after_the_other(seed: int, ridge: float) -> None:
    weights, own = stacked(seed)
    cross = own + np.random.default_rng(seed).normal(0, 0.01, own.shape)
    fitted = refit_taps(weights, own, cross, ridge=ridge)
    for channel in range(len(weights)):
        alone = refit(weights[channel, :, None], own[channel], cross[channel], ridge=ridge)
        np.testing.assert_allclose(fitted[channel], alone[:, 0], rtol=1e-6, atol=1e-9)


@given(seed=st.integers(0, 500))
def test_a_descent_never_ends_higher_than_it_began(seed: int) -> None:
    weights, moments = stacked(seed)
    damped = moments + 0.01 * np.trace(moments, axis1=1, axis2=2)[:, None, None] / TAPS * np.eye(TAPS)
    scales = np.full((len(weights), 1, 1), 0.3)
    start = nearest_taps(weights[:, None], scales)
    end = descend(start, weights, scales, damped)
    assert (errors_of(end[:, 0], weights, damped) <= errors_of(start[:, 0], weights, damped) + 1e-12).all()


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.full((3, 3), -1e-14), -np.eye(3), np.diag([5.0, -1, -1])])
def test_a_channel_whose_moments_no_inputs_have_is_rounded_to_the_nearest_codes_and_others_as_ever(
    bad: np.ndarray,
) -> None:
    weights = np.array([[0.4, 0.6, -2.0], [0.3, 0.7, 1.1]])
    good = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    moments, scales = np.stack([bad, good]), np.ones((1, 2))
    rounded, _ = round_taps(weights, scales, moments)
    np.testing.assert_array_equal(rounded[0], nearest(weights[0, :, None], np.ones(1))[:, 0])
    np.testing.assert_array_equal(rounded[1], round_taps(weights[1:], scales[:, 1:], moments[1:])[0][0])
    fitted = refit_taps(weights, moments, moments, ridge=0.0)
    np.testing.assert_allclose(fitted, weights, atol=1e-12)
