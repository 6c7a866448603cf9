"""Operators without weights in integers: XNNPACK's and LiteRT's arithmetic by hand, and how far it is from exact."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import Affine
from mbexport.calibration.examine.kernels import Addition, Kernel, Table, kernel_of
from mbexport.models.activations import HardSwish

layers = tf_keras.layers
SCALES = st.floats(1e-3, 1.0)
STEPS = st.lists(st.integers(-255, 255), min_size=1, max_size=16)


def affine(scale: float, zero_point: int = 0) -> Affine:
    return Affine(scale=(scale,), zero_point=(zero_point,))


def made_by(kernel: Kernel | None, *steps: Sequence[float]) -> list[float]:
    assert kernel is not None
    return np.asarray(kernel([np.float32(each).reshape(1, 1, -1, 1) for each in steps])).ravel().tolist()


def test_a_sum_by_hand() -> None:
    # Scales of 1/2 and 1/4 of the output's: the larger multiplier has 21 bits, 2 ** 20, and the shift is 21.
    kernel = Addition.of([affine(0.25), affine(0.125)], affine(0.5))
    assert (kernel.multipliers, kernel.shift) == ((2.0**20, 2.0**19), 21)
    # 0.5, 1.5, -0.5, 0.5 + 0.25, 127 / 2 - 3 / 4: halves are rounded up, which a float kernel would round to even.
    assert made_by(kernel, [1, 3, -1, 1, 127], [0, 0, 0, 1, -3]) == [1, 2, 0, 1, 63]


def test_a_multiplier_of_a_sum_is_rounded_by_hand() -> None:
    kernel = Addition.of([affine(0.3), affine(0.1)], affine(0.2))
    assert kernel.shift == 20  # 1.5 lies between 1 and 2
    assert kernel.multipliers == (1.5 * 2**20, 2**19)


def test_a_product_by_hand() -> None:
    kernel = kernel_of(layers.Multiply(), [affine(0.5), affine(0.25)], affine(0.25))
    assert made_by(kernel, [1, 3, -1, 10], [1, 1, 1, -7]) == [0, 2, 0, -35]  # halves to even: 0.5, 1.5, -0.5


def test_a_mean_of_codes_is_rounded_away_from_code_0_by_hand() -> None:
    pooling = layers.AveragePooling2D(2, 2, padding="same")
    kernel = kernel_of(pooling, [affine(1.0, -1)], affine(1.0, -1))
    # Steps 1 and 0 are codes 0 and -1, whose mean -0.5 becomes -1, which is 0 steps; 3 and 4 are codes 2 and 3, so 3.
    assert made_by(kernel, [1, 0, 3, 4, 7]) == [0, 4, 7]  # the last window has one value, and no padding


def test_means_and_concatenations_only_rescale() -> None:
    for layer in (layers.GlobalAveragePooling2D(), layers.Concatenate()):
        assert kernel_of(layer, [affine(1.0)] * 2, affine(1.0)) is None


def test_a_table_is_looked_up_by_the_steps_of_its_input() -> None:
    taken, made = affine(3 / 128, -10), affine(3 / 128, 5)
    assert isinstance(kernel := kernel_of(HardSwish(), [taken], made), Table)
    assert made_by(kernel, [-118, 0, 64, 128]) == [
        -5,
        0,
        48,
        122,
    ]  # -118 * 10 / 256 = -4.6; codes end at 127


def test_a_table_takes_numbers_between_codes_and_beyond_them_by_hand() -> None:
    kernel = kernel_of(layers.ReLU(), [affine(1.0, -10)], affine(1.0, 5))
    assert made_by(kernel, [10.4, 10.6, 500.0, -500.0]) == [10, 11, 122, 0]  # the last code is 127, and zero is 5


@given(first=SCALES, second=SCALES, made=SCALES, steps=STEPS)
def test_a_sum_is_the_nearest_code_unless_it_is_near_a_tie(
    first: float, second: float, made: float, steps: Any
) -> None:
    exact = np.array(steps) * np.float32(first) / np.float32(made) - 3.0 * np.float32(second) / np.float32(made)
    found = made_by(Addition.of([affine(first), affine(second)], affine(made)), steps, [-3] * len(steps))
    error = 256 * 2.0**-20 * max(first, second) / made + 1e-3
    np.testing.assert_array_less(np.abs(np.array(found) - exact), 0.5 + error)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_mean_over_windows_is_keras_own_but_for_rounding(padding: str) -> None:
    pooling = layers.AveragePooling2D((3, 2), (2, 1), padding=padding)
    steps = np.random.default_rng(0).integers(-100, 100, (2, 7, 6, 3)).astype(np.float32)
    kernel = kernel_of(pooling, [affine(1.0, 7)], affine(1.0, 7))
    assert kernel is not None
    assert np.abs(np.asarray(kernel([steps])) - np.asarray(pooling(steps))).max() <= 0.5 + 1e-4
