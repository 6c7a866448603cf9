"""Hard-sigmoid and hard-swish: by hand, by their law, and as TFLite's one operator."""

import numpy as np
import pytest
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from mbexport.formats.tflite.convert import fp32_tflite
from mbexport.models.activations import HardSigmoid, HardSwish

VALUES = np.array([-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0], np.float32)


def test_by_hand():
    np.testing.assert_allclose(HardSigmoid()(VALUES), [0, 0, 0.25, 0.5, 0.75, 1, 1], atol=1e-7)
    np.testing.assert_allclose(HardSwish()(VALUES), [0, 0, -0.375, 0, 1.125, 3, 4], atol=1e-6)


@given(st.floats(-100, 100, width=32))
def test_the_two_halves_of_a_gate_sum_to_one(x):
    gate = HardSigmoid()(np.array([x, -x], np.float32)).numpy()
    assert gate.sum() == pytest.approx(1, abs=1e-6)
    assert HardSwish()(np.float32(x)).numpy() == pytest.approx(x * gate[0], rel=1e-5, abs=1e-6)


def test_tflite_has_one_operator_for_the_swish():
    image = tf_keras.Input((2, 2, 3), name="image")
    x = tf_keras.layers.Conv2D(2, 1)(image)
    model = tf_keras.Model(image, tf_keras.layers.GlobalAveragePooling2D()(HardSwish()(x)))
    interpreter = Interpreter(model_content=fp32_tflite(model))
    assert "HARD_SWISH" in {op["op_name"] for op in interpreter._get_ops_details()}
