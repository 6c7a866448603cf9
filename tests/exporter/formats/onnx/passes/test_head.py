"""What stands between the last feature map and the scores: dropped or rewritten where nothing changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from mbexport.formats.onnx.passes.ends import drop_idle_reshapes, pool_globally


def head(tiny: Any, first: str, shape: Sequence[int], *, channels: int = 4) -> onnx.ModelProto:
    """x -> `first` -> Q -> Reshape -> DQ -> Conv."""
    steps = f"{first} x -> p; Q p s z -> q; Reshape q shape -> r; DQ r s z -> d; Conv d w -> y"
    kernel = np.arange(2 * channels, dtype=np.float32).reshape(2, channels, 1, 1)
    constants = {"shape": np.array(shape, np.int64), "w": kernel, "s": 0.1, "z": np.uint8(128)}
    return tiny.graph(
        steps, ("x", TensorProto.FLOAT, [1, 4, 1, 1]), ("y", TensorProto.FLOAT, [4 // channels, 2, 1, 1]), **constants
    )


@pytest.mark.parametrize("first", ["GlobalAveragePool", "Relu"])
@pytest.mark.parametrize("shape", [[1, 4, 1, 1], [-1, 4, 1, 1]])
def test_a_reshape_to_the_same_shape_is_dropped(tiny, first, shape):
    model = head(tiny, first, shape)
    feed = np.float32([1, -2, 3, -4]).reshape(1, 4, 1, 1)
    expected = tiny.run(model, feed)
    drop_idle_reshapes(model)
    assert tiny.kinds(model) == [first, "QuantizeLinear", "DequantizeLinear", "Conv"]
    assert np.array_equal(tiny.run(model, feed), expected)


def test_a_reshape_that_changes_something_is_kept(tiny):
    model = head(tiny, "GlobalAveragePool", [2, 2, 1, 1], channels=2)
    drop_idle_reshapes(model)
    assert "Reshape" in tiny.kinds(model)
    onnx.checker.check_model(model, full_check=True)


def test_a_reshape_to_a_list_of_scores_is_kept(tiny):
    steps = "GlobalAveragePool x -> p; Reshape p shape -> y"
    model = tiny.graph(
        steps,
        ("x", TensorProto.FLOAT, [1, 4, 3, 3]),
        ("y", TensorProto.FLOAT, [1, 4]),
        shape=np.array([1, 4], np.int64),
    )
    drop_idle_reshapes(model)
    assert tiny.kinds(model) == ["GlobalAveragePool", "Reshape"]


@pytest.mark.parametrize(
    ("batch", "target", "is_kept"),
    [
        ("batch", [-1, 4, 1, 1], False),
        (3, [-1, 4, 1, 1], False),
        (3, [3, 4, 1, 1], False),
        ("batch", [3, 4, 1, 1], True),  # it says that there are three
        ("batch", [-1, 1, 4, 1], True),
        ("batch", [-1, 2, 1, 1], True),
        (3, [6, 2, 1, 1], True),
    ],
)
def test_a_reshape_of_any_batch_is_dropped_only_where_nothing_changes(tiny, batch, target, is_kept):
    ends = ("x", TensorProto.FLOAT, [batch, 4, 3, 3]), ("y", TensorProto.FLOAT, ["any", *target[1:]])
    model = tiny.graph("GlobalAveragePool x -> p; Reshape p shape -> r; Relu r -> y", *ends, shape=np.array(target))
    feed = np.random.default_rng(0).normal(size=(3, 4, 3, 3)).astype(np.float32)
    expected = tiny.run(model, feed)
    drop_idle_reshapes(model)
    assert ("Reshape" in tiny.kinds(model)) is is_kept
    assert np.array_equal(tiny.run(model, feed), expected)


def mean(tiny: Any, axes: Sequence[int], shape: Sequence[int]) -> onnx.ModelProto:
    """x -> ReduceMean over `axes` -> Relu."""
    ends = ("x", TensorProto.FLOAT, [1, 2, 2, 3]), ("y", TensorProto.FLOAT, shape)
    return tiny.graph("ReduceMean x axes -> m; Relu m -> y", *ends, axes=np.array(axes, np.int64))


def test_a_mean_over_height_and_width_becomes_pooling(tiny):
    model = mean(tiny, [2, 3], [1, 2, 1, 1])
    pool_globally(model)
    assert tiny.kinds(model) == ["GlobalAveragePool", "Relu"]
    assert not model.graph.initializer
    feed = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    assert tiny.run(model, feed).ravel().tolist() == [2.5, 8.5]  # of 0..5 and of 6..11


def test_another_mean_is_kept(tiny):
    other, flat = mean(tiny, [1, 2], [1, 1, 1, 3]), mean(tiny, [2, 3], [1, 2, 1, 1])
    flat.graph.node[0].attribute.append(onnx.helper.make_attribute("keepdims", 0))
    flat.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2]))
    for model in (other, flat):
        pool_globally(model)
        assert tiny.kinds(model) == ["ReduceMean", "Relu"]
