"""Tables of activations: LiteRT's fixed point by hand, and where it gives the nearest code."""

from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.calibration.tables import agrees, has_table, litert_table, rounded_table
from mbexport.models.activations import HardSwish

layers = tf_keras.layers
SAME = Affine(scale=(3 / 128,), zero_point=(0,))
ENDS = st.floats(0.5, 12)
ACTIVATIONS = [HardSwish(), layers.ReLU(), layers.ReLU(6.0), layers.LeakyReLU(0.1), layers.Activation("sigmoid")]


def code_of(layer: Any, code: int, taken: Affine = SAME, made: Affine = SAME) -> int:
    return int(litert_table(layer, taken, made)[code - INT8_MIN])


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        # x = 1.5: 64 * 128 = 8192, at the output's scale 4096; the gate is 8192 * 2 = 16384 of 32768, so 24576;
        # 4096 * 24576 / 32768 = 3072, and 3072 / 64 = 48. In numbers: 1.5 * 4.5 / 6 = 1.125 = 48 steps.
        (64, 48),
        (0, 0),
        (-128, 0),  # x = -3
        (127, 127),  # 8128 * 32640 / 32768 = 8096, and 8096 / 64 = 126.5, rounded away from 0; exactly 126.504
    ],
)
def test_hard_swish_by_hand(code: int, wanted: int) -> None:
    assert code_of(HardSwish(), code) == wanted


def test_a_leaky_relu_is_rounded_half_up_from_256ths_by_hand() -> None:
    leaky = layers.LeakyReLU(0.1)  # 26 / 256 for 0.1
    assert code_of(leaky, -10) == -1  # (-260 + 128) / 256 = -0.52, rounded down
    assert code_of(leaky, -104) == -11  # (-2704 + 128) / 256 = -10.06, rounded down; exactly it is -10.4
    assert code_of(leaky, 100) == 100
    assert rounded_table(leaky, SAME, SAME)[-104 - INT8_MIN] == -10


def test_a_relu_by_itself_is_cut_at_its_ceiling_by_hand() -> None:
    made = Affine(scale=(1 / 16,), zero_point=(-128,))
    assert code_of(layers.ReLU(), 64, made=made) == 24 - 128  # 1.5 are 24 sixteenths
    assert code_of(layers.ReLU(), -64, made=made) == -128
    assert code_of(layers.ReLU(1.0), 64, made=made) == 16 - 128


def test_a_sigmoid_by_hand() -> None:
    probabilities = Affine(scale=(1 / 256,), zero_point=(-128,))
    assert code_of(layers.Activation("sigmoid"), 0, made=probabilities) == 0
    assert code_of(layers.Activation("sigmoid"), 127, made=probabilities) == round(256 / (1 + np.exp(-381 / 128))) - 128


def test_which_layers_have_a_table() -> None:
    assert all(map(has_table, ACTIVATIONS))
    assert not any(map(has_table, (layers.Softmax(), layers.Add(), layers.Activation("linear"))))


@given(low=ENDS, high=ENDS, cut=st.floats(0.7, 1.0))
@pytest.mark.parametrize("layer", ACTIVATIONS[:3] + ACTIVATIONS[4:], ids=lambda layer: layer.name)
def test_no_code_is_more_than_one_off_the_nearest(layer: Any, low: float, high: float, cut: float) -> None:
    taken, made = activation_affine(Range(low=-low, high=high)), activation_affine(Range(low=-0.375, high=high * cut))
    found, nearest = litert_table(layer, taken, made), rounded_table(layer, taken, made)
    assert found.min() >= INT8_MIN
    assert found.max() <= INT8_MAX
    assert np.abs(found - nearest).max() <= 1
    if agrees(layer, taken, made):
        np.testing.assert_array_equal(found, nearest)
