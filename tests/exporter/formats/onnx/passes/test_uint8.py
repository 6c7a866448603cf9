"""Activations in uint8 for int8, and quantizations that give back their codes: no number changes."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from mbexport.formats.onnx.passes.int8 import merge_requantizations, use_uint8_activations

BYTES = np.arange(256)


def convolution(tiny: Any, *, int8: bool = True) -> onnx.ModelProto:
    """x -> Q -> DQ -> Conv(int8 weights) -> Q -> DQ -> Relu, as the converter writes it."""
    zero = np.int8 if int8 else np.uint8
    shift = 0 if int8 else 128
    return tiny.graph(
        "Q x s1 z1 -> xq; DQ xq s1 z1 -> xd; DQ w s2 z2 -> wd; Conv xd wd -> c; "
        "Q c s3 z3 -> cq; DQ cq s3 z3 -> cd; Relu cd -> y",
        ("x", TensorProto.FLOAT, [1, 2, 3, 3]),
        ("y", TensorProto.FLOAT, [1, 2, 3, 3]),
        w=np.array([[50, -127], [3, 100]], np.int8).reshape(2, 2, 1, 1),
        s1=1 / 64,
        z1=zero(-28 + shift),
        s2=0.01,
        z2=np.int8(0),
        s3=1 / 32,
        z3=zero(5 + shift),
    )


def test_activations_become_uint8_and_weights_stay_int8(tiny):
    model = convolution(tiny)
    use_uint8_activations(model)
    assert tiny.code_types(model) == {"xq": "uint8", "xd": "uint8", "wd": "int8", "cq": "uint8", "cd": "uint8"}
    values = tiny.constants_of(model)
    assert values["w"].dtype == np.int8
    assert [int(values[node.input[2]]) for node in model.graph.node if node.output[0] in ("xq", "cd")] == [100, 133]


@pytest.mark.parametrize("seed", range(5))
def test_uint8_activations_compute_the_same_numbers(tiny, seed):
    feed = np.random.default_rng(seed).normal(0, 3, (1, 2, 3, 3)).astype(np.float32)
    model = convolution(tiny)
    expected = tiny.run(model, feed)
    use_uint8_activations(model)
    assert np.array_equal(tiny.run(model, feed), expected)
    assert len(np.unique(expected)) > 3


def test_uint8_activations_are_left_alone(tiny):
    model = convolution(tiny, int8=False)
    before = model.SerializeToString(deterministic=True)
    use_uint8_activations(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("start", ["DQ image s z -> d", "Transpose image -> t; DQ t s z -> d"])
def test_an_int8_input_and_output_of_the_graph_keep_their_type(tiny, start):
    steps = f"{start}; Relu d -> r; Q r s z -> scores"
    model = tiny.graph(
        steps, ("image", TensorProto.INT8, [256]), ("scores", TensorProto.INT8, [256]), s=0.5, z=np.int8(-3)
    )
    codes = (BYTES - 128).astype(np.int8)
    assert np.array_equal(tiny.run(model, codes), np.maximum(codes, -3))
    use_uint8_activations(model)
    assert np.array_equal(tiny.run(model, codes), np.maximum(codes, -3))
    types = tiny.code_types(model)
    assert types["scores"] == types["d"] == "int8"
    assert "uint8" in types.values()


def test_a_kernel_before_an_int8_output_still_takes_and_gives_one_type(tiny):
    steps = "DQ image s u -> d; Relu d -> r; Q r s z -> q; Reshape q shape -> scores"
    ends = ("image", TensorProto.UINT8, [256]), ("scores", TensorProto.INT8, [1, 256])
    shape = np.array([1, 256], np.int64)
    model = tiny.graph(
        steps.replace("DQ image s z", "DQ image s u"), *ends, s=0.5, z=np.int8(-3), u=np.uint8(125), shape=shape
    )
    codes = BYTES.astype(np.uint8)
    expected = np.maximum(BYTES - 128, -3)[None]
    assert np.array_equal(tiny.run(model, codes), expected)
    use_uint8_activations(model)
    assert np.array_equal(tiny.run(model, codes), expected)
    (kernel,) = [node for node in model.graph.node if node.op_type == "Relu"]
    (behind,) = [node for node in model.graph.node if node.input[0] == kernel.output[0]]
    assert tiny.code_types(model)[behind.output[0]] == "uint8"


def test_a_float_output_right_behind_the_codes_is_computed_from_uint8(tiny):
    model = tiny.graph(
        "Q x s z -> q; DQ q s z -> y",
        ("x", TensorProto.FLOAT, [9]),
        ("y", TensorProto.FLOAT, [9]),
        s=0.5,
        z=np.int8(-128),
    )
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = tiny.run(model, feed)
    use_uint8_activations(model)
    assert np.array_equal(tiny.run(model, feed), expected)


def requantization(tiny: Any, last: str = "Relu again", **second: object) -> onnx.ModelProto:
    """A byte image -> DQ -> Q -> DQ -> `last`; `second` are the scale and zero point of the Q and what is behind."""
    steps = f"DQ image s z -> d; Q d s2 z2 -> q; DQ q s2 z2 -> again; {last} -> y"
    constants = {"s": 0.5, "z": np.uint8(128), "s2": 0.5, "z2": np.uint8(128)} | second
    return tiny.graph(steps, ("image", TensorProto.UINT8, [256]), ("y", TensorProto.FLOAT, [256]), **constants)


def test_a_requantization_to_the_same_codes_is_dropped(tiny):
    model = requantization(tiny)
    codes = BYTES.astype(np.uint8)
    expected = tiny.run(model, codes)
    merge_requantizations(model)
    assert tiny.kinds(model) == ["DequantizeLinear", "Relu"]
    assert np.array_equal(tiny.run(model, codes), expected)
    assert np.array_equal(expected, np.maximum((codes - 128.0) / 2, 0))


@pytest.mark.parametrize("second", [{"s2": 0.25}, {"z2": np.uint8(127)}, {"z": np.uint8(3), "z2": np.int8(3)}])
def test_a_requantization_to_other_codes_is_kept(tiny, second):
    model = requantization(tiny, **second)
    before = model.SerializeToString(deterministic=True)
    merge_requantizations(model)
    assert model.SerializeToString(deterministic=True) == before


def test_merging_leaves_the_graphs_output_its_name(tiny):
    steps = "Q x s z -> q; DQ q s z -> d; Q d s z -> scores"
    model = tiny.graph(steps, ("x", TensorProto.FLOAT, [9]), ("scores", TensorProto.UINT8, [9]), s=0.5, z=np.uint8(7))
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = tiny.run(model, feed)
    merge_requantizations(model)
    assert tiny.kinds(model) == ["QuantizeLinear"]
    assert np.array_equal(tiny.run(model, feed), expected)


def test_merging_leaves_real_numbers_to_whoever_else_reads_them(tiny):
    model = requantization(tiny, "Add again d")
    codes = BYTES.astype(np.uint8)
    expected = tiny.run(model, codes)
    merge_requantizations(model)
    assert "QuantizeLinear" not in tiny.kinds(model)
    assert np.array_equal(tiny.run(model, codes), expected)
