"""A Reshape of codes stands between a DQ and a Q, so that a compiler for an NPU takes it; no code changes."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.formats.onnx.passes.int8 import reshape_numbers

STEPS = "Q x s z -> q; Reshape q shape -> r; DQ r s z -> y"
WRAPPED = ["QuantizeLinear", "DequantizeLinear", "Reshape", "QuantizeLinear", "DequantizeLinear"]


def of_codes(tiny: Any, *, scale: float = 0.5, zero_point: int = 3) -> onnx.ModelProto:
    """x (1, 4) -> Q -> Reshape (2, 2) -> DQ."""
    constants = {"s": scale, "z": np.uint8(zero_point), "shape": np.array([2, 2], np.int64)}
    return tiny.graph(STEPS, ("x", TensorProto.FLOAT, [1, 4]), ("y", TensorProto.FLOAT, [2, 2]), **constants)


def test_a_reshape_of_codes_becomes_one_of_numbers(tiny):
    model = of_codes(tiny)
    reshape_numbers(model)
    assert tiny.kinds(model) == WRAPPED
    given, made = model.graph.node[1], model.graph.node[3]
    assert list(given.input[1:]) == list(made.input[1:]) == ["s", "z"]
    assert tiny.run(model, np.float32([[-1.5, 0, 1, 200]])).tolist() == [[-1.5, 0.0], [1.0, 126.0]]  # (255 - 3) / 2


def test_twice_is_once(tiny):
    model = of_codes(tiny)
    reshape_numbers(model)
    once = model.SerializeToString()
    reshape_numbers(model)
    assert model.SerializeToString() == once


def test_codes_that_are_the_output_stay_codes(tiny):
    steps = "Q x s z -> q; Reshape q shape -> y"
    constants = {"s": 0.5, "z": np.uint8(3), "shape": np.array([2, 2], np.int64)}
    model = tiny.graph(steps, ("x", TensorProto.FLOAT, [1, 4]), ("y", TensorProto.UINT8, [2, 2]), **constants)
    reshape_numbers(model)
    assert tiny.kinds(model) == WRAPPED[:-1]
    assert tiny.run(model, np.float32([[-1.5, 0, 1, 200]])).tolist() == [[0, 3], [5, 255]]


@pytest.mark.parametrize("steps", ["Reshape x shape -> y", "Relu x -> r; Reshape r shape -> y"])
def test_a_reshape_of_floats_stays(tiny, steps):
    ends = ("x", TensorProto.FLOAT, [1, 4]), ("y", TensorProto.FLOAT, [2, 2])
    model = tiny.graph(steps, *ends, shape=np.array([2, 2], np.int64))
    before = model.SerializeToString()
    reshape_numbers(model)
    assert model.SerializeToString() == before


@given(
    st.floats(2**-20, 2**13, width=32),
    st.integers(0, 255),
    st.lists(st.floats(-(2**17), 2**17, width=32), min_size=4, max_size=4),
)
def test_no_code_changes(tiny, scale, zero_point, numbers):
    model = of_codes(tiny, scale=scale, zero_point=zero_point)
    feed = np.float32([numbers])
    expected = tiny.run(model, feed)
    reshape_numbers(model)
    assert np.array_equal(tiny.run(model, feed), expected)


def test_onnxruntime_reshapes_codes_as_before(tiny, tmp_path):
    model = of_codes(tiny)
    reshape_numbers(model)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = tiny.kinds(onnx.load(tmp_path / "optimized.onnx"))
    assert kinds == ["QuantizeLinear", "Reshape", "DequantizeLinear"]
