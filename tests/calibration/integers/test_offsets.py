"""Offsets of copies behind a depthwise convolution: they undo what its gain did to the even spread before it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Range
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.offsets import best_offsets, even_values, offsets_behind, rounded, spread
from mbexport.calibration.steps import steps_of

pytestmark = pytest.mark.run

VALUES, PHASES = even_values()


def left(before: np.ndarray, gain: float, offsets: np.ndarray) -> float:
    """The variance of what both roundings leave of a value that is multiplied by `gain` between them."""
    held = gain * rounded(VALUES, before) + PHASES
    return float((rounded(held, offsets).mean(axis=0) - gain * VALUES - PHASES).var())


def found(before: np.ndarray, gain: float) -> np.ndarray:
    return best_offsets(gain * rounded(VALUES, before) + PHASES, gain * VALUES + PHASES)


def test_the_even_spread_by_hand() -> None:
    sources = np.array([0, 1, 0, 3, 0, 3])
    np.testing.assert_allclose(spread(sources), [-1 / 3, 0, 0, -1 / 4, 1 / 3, 1 / 4], atol=1e-12)


def test_values_and_phases_are_spread_evenly_and_independently() -> None:
    assert (VALUES.min() >= 0) & (VALUES.max() < 256)
    assert (PHASES.min() >= 0) & (PHASES.max() < 1)
    counts, _, _ = np.histogram2d(VALUES % 1, PHASES, bins=8, range=[(0, 1), (0, 1)])
    assert counts == pytest.approx(len(VALUES) / 64, rel=0.5)


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_copies_that_lie_half_a_step_apart_already_need_no_more_by_hand(gain: float) -> None:
    # k - 1/4 and k' + 1/4 are spread evenly. The same spread again brings both to the same part of a step, where they
    # round alike: a 12th for the second rounding instead of a 48th, beside the first one's 48th.
    before = np.array([-1 / 4, 1 / 4])
    assert left(before, gain, gain * before) == pytest.approx(1 / 48 + 1 / 12, rel=0.05)
    offsets = found(before, gain)
    np.testing.assert_allclose(offsets, 0, atol=1e-9)
    assert left(before, gain, offsets) == pytest.approx(1 / 48 + 1 / 48, rel=0.05)


def test_a_gain_of_two_brings_copies_together_and_offsets_part_them_by_hand() -> None:
    # 2 k - 1/2 and 2 k' + 1/2 lie at the same part of a step: only offsets that are half a step apart part them.
    offsets = found(np.array([-1 / 4, 1 / 4]), 2.0)
    assert abs(offsets[0] - offsets[1]) == pytest.approx(1 / 2)
    assert left(np.array([-1 / 4, 1 / 4]), 2.0, offsets) == pytest.approx(4 / 48 + 1 / 48, rel=0.05)


@given(copies=st.integers(2, 5), gain=st.floats(-3, 3), times=st.integers(-4, 4))
def test_no_even_spread_errs_less(copies: int, gain: float, times: int) -> None:
    before = spread(np.zeros(copies, np.int64))
    offsets = found(before, gain)
    assert abs(offsets.mean()) < 1e-9
    assert np.abs(offsets).max() < 1
    even = np.rint(times * before * 16) / 16
    assert left(before, gain, offsets) <= left(before, gain, even) * 1.02 + 1e-4


def chain() -> tuple[Any, ...]:
    """A full convolution and the depthwise one behind it, 3 channels, whose taps sum to 1, 2 and -1."""
    layers = tf_keras.layers
    x = image = layers.Input((6, 6, 2), name="image")
    x = layers.ReLU(6.0, name="stem_relu")(layers.Conv2D(3, 1, name="stem")(x))
    x = layers.ReLU(6.0, name="depthwise_relu")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    network = tf_keras.Model(image, layers.Conv2D(2, 1, name="end")(x))
    kernel = np.full((3, 3, 3, 1), 1 / 9, np.float32) * np.float32([1, 2, -1])[:, None]
    network.get_layer("depthwise").set_weights([kernel, np.zeros(3, np.float32)])
    return tuple(steps_of(network)[:2])


def test_gains_are_those_between_scaled_channels_by_hand() -> None:
    # Taps that sum to 1, a factor of 2 and a range twice as wide: as if nothing happened between the two tensors. With
    # half of the factor the gain is half.
    sources = dict.fromkeys(("stem_relu", "depthwise_relu"), np.array([0, 0, 2]))
    ranges = {"stem_relu": Range(low=0.0, high=3.0), "depthwise_relu": Range(low=0.0, high=6.0)}
    for factor, gain in ((2.0, 1.0), (1.0, 0.5)):
        scalings = {
            "stem_relu": Scaling.none(3),
            "depthwise_relu": Scaling(factors=np.full(3, factor), shifts=np.ones(3)),
        }
        kernel = np.full((3, 3, 3, 1), 1 / 9, np.float32)  # the copies of channel 0, as copies have them
        first, second = chain()
        carriers = (first, replace(second, weights=(kernel, second.weights[1])))
        offsets = offsets_behind(carriers, sources, scalings, ranges)
        np.testing.assert_allclose(offsets["stem_relu"], [-1 / 4, 1 / 4, 0])
        expected = found(np.array([-1 / 4, 1 / 4]), gain)
        np.testing.assert_allclose(offsets["depthwise_relu"], [*expected, 0], atol=1e-9)
