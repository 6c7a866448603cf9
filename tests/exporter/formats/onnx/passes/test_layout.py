"""The graph's two ends: an open batch gets one name, and the input the axes that convolutions take."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from mbexport.errors import StageError
from mbexport.formats.onnx.passes.ends import name_batch, take_channels_first


def turning(tiny: Any, *, batch: int | str = 2, is_quantized: bool = True) -> onnx.ModelProto:
    """An image with channels last -> DQ, if `is_quantized` -> Transpose -> Relu."""
    kind = TensorProto.UINT8 if is_quantized else TensorProto.FLOAT
    start = "DQ image s z -> d; Transpose:0312 d -> t" if is_quantized else "Transpose:0312 image -> t"
    constants = {"s": 0.5, "z": np.uint8(100)} if is_quantized else {}
    ends = ("image", kind, [batch, 4, 5, 3]), ("scores", TensorProto.FLOAT, [batch, 3, 4, 5])
    return tiny.graph(f"{start}; Relu t -> scores", *ends, **constants)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_turned_images_give_the_same_numbers(tiny, seed, is_quantized):
    model = turning(tiny, is_quantized=is_quantized)
    images = np.random.default_rng(seed).integers(0, 256, (2, 4, 5, 3))
    images = images.astype(np.uint8) if is_quantized else images.astype(np.float32) - 100
    expected = tiny.run(model, images)
    take_channels_first(model)
    assert "Transpose" not in tiny.kinds(model)
    assert tiny.ends(model) == [[2, 3, 4, 5], [2, 3, 4, 5]]
    assert np.array_equal(tiny.run(model, np.ascontiguousarray(images.transpose(0, 3, 1, 2))), expected)


def test_one_image_turned_by_hand(tiny):
    model = turning(tiny, batch=1)
    take_channels_first(model)
    image = np.zeros((1, 3, 4, 5), np.uint8)
    image[0, 2, 1, 3] = 110
    scores = tiny.run(model, image)
    assert np.argwhere(scores).tolist() == [[0, 2, 1, 3]]
    assert scores.max() == 5  # (110 - 100) / 2


def test_an_open_batch_stays_open(tiny):
    model = turning(tiny, batch="batch")
    take_channels_first(model)
    assert tiny.ends(model)[0] == ["batch", 3, 4, 5]


def test_grey_images_are_not_reshaped_any_more(tiny):
    ends = ("image", TensorProto.FLOAT, [1, 4, 5, 1]), ("scores", TensorProto.FLOAT, [1, 1, 4, 5])
    shape = np.array([1, 1, 4, 5], np.int64)
    model = tiny.graph("Reshape image shape -> r; Relu r -> scores", *ends, shape=shape)
    take_channels_first(model)
    assert tiny.kinds(model) == ["Relu"]
    assert tiny.ends(model) == [[1, 1, 4, 5], [1, 1, 4, 5]]
    onnx.checker.check_model(model, full_check=True)


def test_something_else_before_the_turn_is_refused(tiny):
    model = tiny.graph(
        "Relu image -> scores", *[(name, TensorProto.FLOAT, [1, 4, 5, 3]) for name in ("image", "scores")]
    )
    with pytest.raises(StageError, match="turned to channels first before anything else, got Relu"):
        take_channels_first(model)


def test_an_open_batch_gets_one_name(tiny):
    ends = [(name, TensorProto.FLOAT, [f"unk__{name}", 3]) for name in ("x", "y")]
    model = tiny.graph("Relu x -> m; Relu m -> y", *ends)
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("m", TensorProto.FLOAT, ["unk__7", 3]))
    name_batch(model)
    assert tiny.ends(model) == [["batch", 3], ["batch", 3]]
    assert "unk" not in str(model)


def test_a_batch_without_a_name_gets_it_too(tiny):
    model = tiny.graph("Relu x -> y", *[(name, TensorProto.FLOAT, [None, 3]) for name in ("x", "y")])
    name_batch(model)
    assert tiny.ends(model) == [["batch", 3], ["batch", 3]]


def test_a_batch_that_is_a_number_stays(tiny):
    model = tiny.graph("Relu x -> y", *[(name, TensorProto.FLOAT, [4, 3]) for name in ("x", "y")])
    before = model.SerializeToString(deterministic=True)
    name_batch(model)
    assert model.SerializeToString(deterministic=True) == before
