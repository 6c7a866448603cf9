"""Layers that stay in float: fed with codes, computed in floats, and left so by onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.formats.onnx.passes.float_layers import feed_codes_to_float_layers

SCALE = 0.5
STEPS = "DQ x s z -> real; Conv real w b -> c; Q c s2 z2 -> y"


def float_layer(tiny: Any, *, zero: int, weights: np.ndarray) -> onnx.ModelProto:
    """uint8 (1, 1, 2, 2) -> DQ -> Conv with one weight a channel -> Q."""
    ends = ("x", TensorProto.UINT8, [1, 1, 2, 2]), ("y", TensorProto.UINT8, [1, len(weights), 2, 2])
    kernel = weights.astype(np.float32).reshape(-1, 1, 1, 1)
    bias = np.zeros(len(weights), np.float32)
    codes = {"s": SCALE, "z": np.uint8(zero), "s2": 0.25, "z2": np.uint8(100)}
    return tiny.graph(STEPS, *ends, w=kernel, b=bias, **codes)


def test_codes_by_hand(tiny):
    model = float_layer(tiny, zero=3, weights=np.array([0.75]))
    feed_codes_to_float_layers(model)
    assert tiny.kinds(model) == ["Cast", "Sub", "Conv", "QuantizeLinear"]
    found = tiny.run(model, np.array([3, 4, 0, 7], np.uint8).reshape(1, 1, 2, 2))
    # (7 - 3) * 0.5 * 0.75 = 1.5, six steps of 0.25 above code 100; 0.375 is one and a half, to even 102.
    assert found.ravel().tolist() == [100, 102, 96, 106]


def test_nothing_is_subtracted_where_the_zero_is_0(tiny):
    model = float_layer(tiny, zero=0, weights=np.array([0.75]))
    feed_codes_to_float_layers(model)
    assert tiny.kinds(model) == ["Cast", "Conv", "QuantizeLinear"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(0, 255), st.lists(st.integers(-64, 64), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_sums_stay_the_same(tiny, zero, weights, random):
    model = float_layer(tiny, zero=zero, weights=np.array(weights) / 32)  # exact in float32
    feed = np.array([random.randrange(256) for _ in range(4)], np.uint8).reshape(1, 1, 2, 2)
    expected = tiny.run(model, feed)
    feed_codes_to_float_layers(model)
    assert np.array_equal(tiny.run(model, feed), expected)


def test_integer_layers_are_left_alone(tiny):
    ends = ("x", TensorProto.UINT8, [1, 1, 2, 2]), ("y", TensorProto.UINT8, [1, 1, 2, 2])
    steps = "DQ x s z -> real; DQ w s zw -> weights; Conv real weights -> c; Q c s z -> y"
    kernel = np.full((1, 1, 1, 1), 3, np.int8)
    model = tiny.graph(steps, *ends, w=kernel, s=SCALE, z=np.uint8(3), zw=np.int8(0))
    before = model.SerializeToString()
    feed_codes_to_float_layers(model)
    assert model.SerializeToString() == before


def convolutions(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The convolutions of the graph as onnxruntime has it after its own optimization."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "run")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.zeros((1, 1, 2, 2), np.uint8)})
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    names = [event["args"]["op_name"] for event in events if event["name"].endswith("_kernel_time")]
    return [name for name in names if "Conv" in name]


@pytest.mark.parametrize("zero", [0, 3])
def test_onnxruntime_leaves_the_layer_in_float(tiny, tmp_path, zero):
    model = float_layer(tiny, zero=zero, weights=np.linspace(-1, 1, 8))
    feed_codes_to_float_layers(model)
    assert convolutions(model, tmp_path) in (["Conv"], ["FusedConv"])


def test_onnxruntime_would_round_the_weights_of_a_float_layer_between_codes(tiny, tmp_path):
    """The reason for the pass: once this fails, onnxruntime leaves such layers alone, and the pass may go."""
    model = float_layer(tiny, zero=3, weights=np.linspace(-1, 1, 8))
    assert convolutions(model, tmp_path) == ["QLinearConv"]
