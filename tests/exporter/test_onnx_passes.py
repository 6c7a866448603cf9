"""Each pass on a graph of a few nodes: what it changes, what it leaves alone, and that the numbers stay."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mbexport.onnx_passes import (
    absorb_clips,
    drop_reshapes_before_convolutions,
    merge_requantizations,
    name_canonically,
    share_constants,
    use_uint8_activations,
)

FLOAT, INT8, UINT8 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8
BYTES = np.arange(256)
Edge = tuple[str, int, Sequence[int]]
SHORT = {"Q": "QuantizeLinear", "DQ": "DequantizeLinear"}


def graph(steps: str, source: Edge, target: Edge, **constants: object) -> onnx.ModelProto:
    """A valid model of `steps`, "Op inputs -> output; ..."; constants are numpy values, or floats for float32."""
    nodes = []
    for step in steps.split(";"):
        kind, *inputs, _, output = step.split()
        nodes.append(helper.make_node(SHORT.get(kind, kind), inputs, [output]))
    tensors = [
        numpy_helper.from_array(np.asarray(value, None if hasattr(value, "dtype") else np.float32), name)
        for name, value in constants.items()
    ]
    ends = [[helper.make_tensor_value_info(*edge)] for edge in (source, target)]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", *ends, tensors), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, feed: np.ndarray) -> np.ndarray:
    """The output, computed node by node, so that onnxruntime's rewriting of graphs does not hide ours."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: feed})[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def constants_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def code_types(model: onnx.ModelProto) -> dict[str, str]:
    """The type of codes that each Q makes and each DQ reads, by the name of its output."""
    values = constants_of(model)
    return {node.output[0]: values[node.input[2]].dtype.name for node in model.graph.node if len(node.input) == 3}


def convolution(*, int8: bool = True) -> onnx.ModelProto:
    """x -> Q -> DQ -> Conv(int8 weights) -> Q -> DQ -> Relu, as the converter writes it."""
    zero = np.int8 if int8 else np.uint8
    shift = 0 if int8 else 128
    return graph(
        "Q x s1 z1 -> xq; DQ xq s1 z1 -> xd; DQ w s2 z2 -> wd; Conv xd wd -> c; "
        "Q c s3 z3 -> cq; DQ cq s3 z3 -> cd; Relu cd -> y",
        ("x", FLOAT, [1, 2, 3, 3]),
        ("y", FLOAT, [1, 2, 3, 3]),
        w=np.array([[50, -127], [3, 100]], np.int8).reshape(2, 2, 1, 1),
        s1=1 / 64,
        z1=zero(-28 + shift),
        s2=0.01,
        z2=np.int8(0),
        s3=1 / 32,
        z3=zero(5 + shift),
    )


def test_activations_become_uint8_and_weights_stay_int8():
    model = convolution()
    use_uint8_activations(model)
    assert code_types(model) == {"xq": "uint8", "xd": "uint8", "wd": "int8", "cq": "uint8", "cd": "uint8"}
    values = constants_of(model)
    assert values["w"].dtype == np.int8
    assert [int(values[node.input[2]]) for node in model.graph.node if node.output[0] in ("xq", "cd")] == [100, 133]


@pytest.mark.parametrize("seed", range(5))
def test_uint8_activations_compute_the_same_numbers(seed):
    feed = np.random.default_rng(seed).normal(0, 3, (1, 2, 3, 3)).astype(np.float32)
    model = convolution()
    expected = run(model, feed)
    use_uint8_activations(model)
    assert np.array_equal(run(model, feed), expected)
    assert len(np.unique(expected)) > 3


def test_uint8_activations_are_left_alone():
    model = convolution(int8=False)
    before = model.SerializeToString(deterministic=True)
    use_uint8_activations(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("start", ["DQ image s z -> d", "Transpose image -> t; DQ t s z -> d"])
def test_an_int8_input_and_output_of_the_graph_keep_their_type(start):
    steps = f"{start}; Relu d -> r; Q r s z -> scores"
    model = graph(steps, ("image", INT8, [256]), ("scores", INT8, [256]), s=0.5, z=np.int8(-3))
    codes = (BYTES - 128).astype(np.int8)
    assert np.array_equal(run(model, codes), np.maximum(codes, -3))
    use_uint8_activations(model)
    assert np.array_equal(run(model, codes), np.maximum(codes, -3))
    types = code_types(model)
    assert types["scores"] == types["d"] == "int8"
    assert "uint8" in types.values()


def test_a_float_output_right_behind_the_codes_is_computed_from_uint8():
    model = graph("Q x s z -> q; DQ q s z -> y", ("x", FLOAT, [9]), ("y", FLOAT, [9]), s=0.5, z=np.int8(-128))
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = run(model, feed)
    use_uint8_activations(model)
    assert np.array_equal(run(model, feed), expected)


def requantization(last: str = "Relu again", **second: object) -> onnx.ModelProto:
    """A byte image -> DQ -> Q -> DQ -> `last`; `second` are the scale and zero point of the Q and what is behind."""
    steps = f"DQ image s z -> d; Q d s2 z2 -> q; DQ q s2 z2 -> again; {last} -> y"
    constants = {"s": 0.5, "z": np.uint8(128), "s2": 0.5, "z2": np.uint8(128)} | second
    return graph(steps, ("image", UINT8, [256]), ("y", FLOAT, [256]), **constants)


def test_a_requantization_to_the_same_codes_is_dropped():
    model = requantization()
    codes = BYTES.astype(np.uint8)
    expected = run(model, codes)
    merge_requantizations(model)
    assert kinds(model) == ["DequantizeLinear", "Relu"]
    assert np.array_equal(run(model, codes), expected)
    assert np.array_equal(expected, np.maximum((codes - 128.0) / 2, 0))


@pytest.mark.parametrize("second", [{"s2": 0.25}, {"z2": np.uint8(127)}, {"z": np.uint8(3), "z2": np.int8(3)}])
def test_a_requantization_to_other_codes_is_kept(second):
    model = requantization(**second)
    before = model.SerializeToString(deterministic=True)
    merge_requantizations(model)
    assert model.SerializeToString(deterministic=True) == before


def test_merging_leaves_the_graphs_output_its_name():
    steps = "Q x s z -> q; DQ q s z -> d; Q d s z -> scores"
    model = graph(steps, ("x", FLOAT, [9]), ("scores", UINT8, [9]), s=0.5, z=np.uint8(7))
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = run(model, feed)
    merge_requantizations(model)
    assert kinds(model) == ["QuantizeLinear"]
    assert np.array_equal(run(model, feed), expected)


def test_merging_leaves_real_numbers_to_whoever_else_reads_them():
    model = requantization("Add again d")
    codes = BYTES.astype(np.uint8)
    expected = run(model, codes)
    merge_requantizations(model)
    assert "QuantizeLinear" not in kinds(model)
    assert np.array_equal(run(model, codes), expected)


TWO_QUANTIZATIONS = "Q c s z -> q2; DQ q2 s z -> other"


def clipped(low: float, high: float, *, scale: float, zero: int = 0, other: str = TWO_QUANTIZATIONS) -> onnx.ModelProto:
    """x -> Clip(low, high) -> Q -> DQ, added to what `other` makes of the clipped numbers."""
    steps = f"Clip x low high -> c; Q c s z -> q; DQ q s z -> d; {other}; Add d other -> y"
    ends = ("x", FLOAT, [4001]), ("y", FLOAT, [4001])
    return graph(steps, *ends, low=low, high=high, s=scale, z=np.uint8(zero))


@pytest.mark.parametrize("range_end", [6, 5.9, 0.5, 6.01])  # 6.01: less than half a step beyond 6
def test_a_clip_that_saturation_repeats_is_dropped(range_end):
    model = clipped(0, 6, scale=range_end / 255)
    feed = np.linspace(-7, 13, 4001, dtype=np.float32)
    expected = run(model, feed)
    absorb_clips(model)
    assert "Clip" not in kinds(model)
    assert np.array_equal(run(model, feed), expected)


@pytest.mark.parametrize(
    ("scale", "zero", "other"),
    [(7 / 255, 0, TWO_QUANTIZATIONS), (7 / 255, 36, TWO_QUANTIZATIONS), (6 / 255, 0, "Neg c -> other")],
    ids=["range ends beyond the clip", "range starts below the clip", "somebody else reads the clipped numbers"],
)
def test_a_clip_that_matters_is_kept(scale, zero, other):
    model = clipped(0, 6, scale=scale, zero=zero, other=other)
    before = model.SerializeToString(deterministic=True)
    absorb_clips(model)
    assert model.SerializeToString(deterministic=True) == before


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 8), st.integers(0, 255))
@example(0, -2, 4, 0)  # the clip gives 254.5, which rounds to code 254; saturation gives code 255
def test_no_code_changes_where_a_clip_is_dropped(low, high, scale, zero):
    # Limits in quarters of a step from the ends of the range, which floats hold exactly: halfway is halfway.
    scale = scale / 4
    low, high = (-zero + low / 4) * scale, (255 - zero + high / 4) * scale
    model = clipped(low, high, scale=scale, zero=zero)
    feed = np.linspace(low - 9, high + 9, 4001, dtype=np.float32)
    expected = run(model, feed)
    absorb_clips(model)
    assert np.array_equal(run(model, feed), expected)


def head(first: str, shape: Sequence[int], *, channels: int = 4) -> onnx.ModelProto:
    """x -> `first` -> Q -> Reshape -> DQ -> Conv."""
    steps = f"{first} x -> p; Q p s z -> q; Reshape q shape -> r; DQ r s z -> d; Conv d w -> y"
    kernel = np.arange(2 * channels, dtype=np.float32).reshape(2, channels, 1, 1)
    constants = {"shape": np.array(shape, np.int64), "w": kernel, "s": 0.1, "z": np.uint8(128)}
    return graph(steps, ("x", FLOAT, [1, 4, 1, 1]), ("y", FLOAT, [4 // channels, 2, 1, 1]), **constants)


@pytest.mark.parametrize("shape", [[1, 4, 1, 1], [-1, 4, 1, 1]])
def test_a_reshape_to_the_same_shape_behind_pooling_is_dropped(shape):
    model = head("GlobalAveragePool", shape)
    feed = np.float32([1, -2, 3, -4]).reshape(1, 4, 1, 1)
    expected = run(model, feed)
    drop_reshapes_before_convolutions(model)
    assert kinds(model) == ["GlobalAveragePool", "QuantizeLinear", "DequantizeLinear", "Conv"]
    assert np.array_equal(run(model, feed), expected)


@pytest.mark.parametrize(
    ("first", "shape", "channels"), [("Relu", [1, 4, 1, 1], 4), ("GlobalAveragePool", [2, 2, 1, 1], 2)]
)
def test_a_reshape_that_may_change_something_is_kept(first, shape, channels):
    model = head(first, shape, channels=channels)
    drop_reshapes_before_convolutions(model)
    assert "Reshape" in kinds(model)
    onnx.checker.check_model(model, full_check=True)


def test_a_reshape_to_a_list_of_scores_is_kept():
    steps = "GlobalAveragePool x -> p; Reshape p shape -> y"
    model = graph(steps, ("x", FLOAT, [1, 4, 3, 3]), ("y", FLOAT, [1, 4]), shape=np.array([1, 4], np.int64))
    drop_reshapes_before_convolutions(model)
    assert kinds(model) == ["GlobalAveragePool", "Reshape"]


def test_equal_constants_are_stored_once_and_others_apart():
    steps = "Sum x a b c -> t; Q t a zu -> q; DQ q b zv -> y"
    values = {"a": 0.5, "b": 0.5, "c": np.float32([0.5]), "zu": np.uint8(0), "zv": np.uint8(0), "unused": np.int8(0)}
    model = graph(steps, ("x", FLOAT, [9]), ("y", FLOAT, [9]), **values)
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = run(model, feed)
    share_constants(model)
    assert [(value.shape, value.dtype.name) for value in constants_of(model).values()] == [
        ((), "float32"),
        ((1,), "float32"),
        ((), "uint8"),
    ]
    assert np.array_equal(run(model, feed), expected)


def test_equal_numbers_of_different_types_stay_apart():
    steps = "Q x s zu -> q; DQ q s zu -> d; Q d s zi -> r; DQ r s zi -> y"
    model = graph(steps, ("x", FLOAT, [9]), ("y", FLOAT, [9]), s=0.5, zu=np.uint8(0), zi=np.int8(0))
    share_constants(model)
    assert set(code_types(model).items()) == {("q", "uint8"), ("d", "uint8"), ("r", "int8"), ("y", "int8")}


def named(mark: str, *, weight: float = 2, backwards: bool = False) -> onnx.ModelProto:
    """The sum of x * weight and 1: every name starts with `mark`, and nothing else depends on it."""
    constants = {f"{mark}w": np.float32(weight), f"{mark}one": np.float32(1)}
    ordered = dict(reversed(constants.items())) if backwards else constants
    ends = (f"{mark}x", FLOAT, [3]), (f"{mark}y", FLOAT, [3])
    model = graph(f"Mul {mark}x {mark}w -> {mark}m; Add {mark}m {mark}one -> {mark}y", *ends, **ordered)
    model.graph.node[0].name = model.graph.node[0].doc_string = mark
    return model


def test_names_and_the_order_of_constants_leave_no_trace():
    models = [named("a"), named("serving_default/:0" * 12, backwards=True), named("image"), named("a", weight=3)]
    for model in models:
        name_canonically(model)
        onnx.checker.check_model(model, full_check=True)
    first, second, third, other = (model.SerializeToString(deterministic=True) for model in models)
    assert first == second == third != other
    assert (models[0].graph.input[0].name, models[0].graph.output[0].name) == ("image", "scores")
    assert run(models[0], np.float32([1, 2, 3])).tolist() == [3, 5, 7]
