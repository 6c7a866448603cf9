"""Weights stored as float16: what they become, what stays float32, and what is refused."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.errors import StageError
from mbexport.formats.onnx.passes.half import store_weights_as_half


def product(tiny: Any, *weights: float) -> onnx.ModelProto:
    """x * w + b, with a row of weights as w; then the same again."""
    row, bias = np.array([weights], np.float32), np.array([0.1], np.float32)
    ends = [(name, TensorProto.FLOAT, [1, len(weights)]) for name in ("x", "y")]
    return tiny.graph("Mul x w -> m; Add m b -> a; Mul a w -> n; Add n b -> y", *ends, w=row, b=bias)


def test_weights_become_float16_by_hand_and_biases_stay(tiny):
    model = product(tiny, 0.1, 65504, 1 + 2**-11, 1 + 3 * 2**-11)
    store_weights_as_half(model)
    values = tiny.constants_of(model)
    assert {name: value.dtype.name for name, value in values.items()} == {"w": "float16", "b": "float32"}
    # 11 bits of precision (IEEE 754 binary16), halves to even: 1 + 2^-11 goes down, 1 + 3 * 2^-11 up.
    assert values["w"].astype(float).tolist() == [[0.0999755859375, 65504, 1, 1 + 2**-9]]


def test_one_cast_serves_all_who_read_the_weights(tiny):
    model = product(tiny, 0.1)
    store_weights_as_half(model)
    assert tiny.kinds(model) == ["Cast", "Mul", "Add", "Mul", "Add"]
    assert [node.input[1] for node in model.graph.node if node.op_type == "Mul"] == ["w_cast", "w_cast"]


@given(st.lists(st.floats(-65504, 65504, width=32), min_size=1, max_size=5))
@example([2**-24, 2**-25, 2**-14])  # the smallest that float16 holds, half of it, and the smallest of full precision
def test_what_is_computed_is_what_float16_holds(tiny, weights):
    model, rounded = product(tiny, *weights), product(tiny, *np.float16(weights))
    store_weights_as_half(model)
    feed = np.full((1, len(weights)), 0.3, np.float32)
    assert np.array_equal(tiny.run(model, feed), tiny.run(rounded, feed))


@pytest.mark.parametrize("weight", [65505, -65536, 1e38, np.inf, np.nan])
def test_a_weight_that_float16_cannot_hold_is_refused(tiny, weight):
    with pytest.raises(StageError, match="stored as float16 must be at most 65504 in size, got"):
        store_weights_as_half(product(tiny, 1, weight))


def test_integers_are_left_alone(tiny):
    ends = [(name, kind, [1, 2]) for name, kind in (("x", TensorProto.FLOAT), ("y", TensorProto.FLOAT))]
    model = tiny.graph("DQ w s z -> d; Mul x d -> y", *ends, w=np.int8([[1, 2]]), s=0.5, z=np.int8(0))
    before = model.SerializeToString(deterministic=True)
    store_weights_as_half(model)
    assert model.SerializeToString(deterministic=True) == before
