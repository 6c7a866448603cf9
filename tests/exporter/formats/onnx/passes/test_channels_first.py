"""One order of axes throughout: nothing is turned to channels last and back, and codes are padded as codes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.formats.onnx.passes.layout import keep_channels_first, pad_codes

MAPS = ("x", TensorProto.UINT8, [2, 3, 4, 5]), ("y", TensorProto.FLOAT, [2, 3, 4, 5])
CODES = {"s": 0.5, "z": np.uint8(100)}
GATED = (  # a squeeze as tf2onnx writes it: the maps are turned, and those of one pixel reshaped
    "DQ x s z -> d; Transpose:0231 d -> last; GlobalAveragePool d -> m; Q m s z -> q; Reshape q ones -> r;"
    "DQ r s z -> g; Sigmoid g -> h; Mul last h -> p; Transpose:0312 p -> y"
)


def test_an_activation_between_two_turns_is_left_alone_by_hand(tiny: Any) -> None:
    steps = "Transpose:0231 x -> t; DQ t s z -> d; HardSwish d -> h; Q h s z -> q; DQ q s z -> e; Transpose:0312 e -> y"
    model = tiny.graph(steps, *MAPS, **CODES)
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    expected = tiny.run(model, codes)
    keep_channels_first(model)
    assert tiny.kinds(model) == ["DequantizeLinear", "HardSwish", "QuantizeLinear", "DequantizeLinear", "Identity"]
    np.testing.assert_array_equal(tiny.run(model, codes), expected)


@given(st.integers(0, 2**32 - 1))
def test_a_gate_gives_the_same_numbers(tiny: Any, seed: int) -> None:
    model = tiny.graph(GATED, *MAPS, **CODES, ones=np.array([2, 1, 1, 3], np.int64))
    codes = np.random.default_rng(seed).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    expected = tiny.run(model, codes)
    keep_channels_first(model)
    assert "Transpose" not in tiny.kinds(model)
    assert "Reshape" not in tiny.kinds(model)
    np.testing.assert_array_equal(tiny.run(model, codes), expected)


def test_what_else_reads_the_turned_tensor_still_gets_it(tiny: Any) -> None:
    # A reshape needs channels last; the activation beside it does not.
    steps = (
        "DQ x s z -> d; Transpose:0231 d -> t; Relu t -> r; Transpose:0312 r -> f; Reshape t flat -> a;"
        "Reshape f flat -> b; Sub a b -> y"
    )
    ends = MAPS[0], ("y", TensorProto.FLOAT, [2, 60])
    model = tiny.graph(steps, *ends, **CODES, flat=np.array([2, 60], np.int64))
    codes = np.arange(120, dtype=np.uint8).reshape(2, 3, 4, 5)
    expected = tiny.run(model, codes)
    keep_channels_first(model)
    assert tiny.kinds(model).count("Transpose") == 1
    np.testing.assert_array_equal(tiny.run(model, codes), expected)


@pytest.mark.parametrize("axis", [3, -1])
def test_a_concatenation_joins_the_axis_that_channels_have_then(tiny: Any, axis: int) -> None:
    steps = f"DQ x s z -> d; Transpose:0231 d -> t; Relu t -> r; Concat:{axis} t r -> c; Transpose:0312 c -> y"
    model = tiny.graph(steps, MAPS[0], ("y", TensorProto.FLOAT, [2, 6, 4, 5]), **CODES)
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    keep_channels_first(model)
    assert "Transpose" not in tiny.kinds(model)
    numbers = (codes.astype(np.float32) - 100) / 2
    np.testing.assert_array_equal(tiny.run(model, codes), np.concatenate([numbers, np.maximum(numbers, 0)], axis=1))


def test_a_mean_over_height_and_width_becomes_the_pooling_that_it_is(tiny: Any) -> None:
    steps = "DQ x s z -> d; Transpose:0231 d -> t; Relu t -> r; ReduceMean r axes -> m; Transpose:0312 m -> y"
    ends = MAPS[0], ("y", TensorProto.FLOAT, [2, 3, 1, 1])
    model = tiny.graph(steps, *ends, **CODES, axes=np.array([1, 2], np.int64))
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    expected = tiny.run(model, codes)
    keep_channels_first(model)
    assert tiny.kinds(model) == ["DequantizeLinear", "Relu", "GlobalAveragePool", "Identity"]
    np.testing.assert_allclose(tiny.run(model, codes), expected, rtol=1e-6)


def test_a_graph_that_turns_nothing_back_stays_as_it_is(tiny: Any) -> None:
    ends = ("x", TensorProto.UINT8, [1, 4, 5, 3]), ("y", TensorProto.FLOAT, [1, 3, 4, 5])
    model = tiny.graph("Transpose:0312 x -> t; DQ t s z -> y", *ends, **CODES)
    before = model.SerializeToString()
    keep_channels_first(model)
    assert model.SerializeToString() == before


PADDED = "DQ x s z -> d; Pad d pads -> p; Q p s2 z -> q; DQ q s2 z -> y"


@pytest.mark.parametrize(("scale", "is_moved"), [(0.5, True), (0.25, False)])
def test_codes_are_padded_with_the_code_of_zero(tiny: Any, scale: float, is_moved: bool) -> None:
    ends = ("x", TensorProto.UINT8, [1, 1, 2, 2]), ("y", TensorProto.FLOAT, [1, 1, 3, 2])
    pads = np.array([0, 0, 1, 0, 0, 0, 0, 0], np.int64)
    model = tiny.graph(PADDED, *ends, **CODES, pads=pads, s2=scale)
    codes = np.array([[[[90, 100], [110, 120]]]], np.uint8)
    expected = tiny.run(model, codes)
    assert expected[0, 0, 0].tolist() == [0, 0]
    pad_codes(model)
    assert (tiny.kinds(model) == ["Pad", "DequantizeLinear"]) is is_moved
    np.testing.assert_array_equal(tiny.run(model, codes), expected)
