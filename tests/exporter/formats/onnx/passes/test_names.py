"""Names, order and sharing of constants: what they depend on, and what not."""

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from mbexport.formats.onnx.passes.names import name_canonically, order_canonically, share_constants


def test_equal_constants_are_stored_once_and_others_apart(tiny):
    steps = "Sum x a b c -> t; Q t a zu -> q; DQ q b zv -> y"
    values = {"a": 0.5, "b": 0.5, "c": np.float32([0.5]), "zu": np.uint8(0), "zv": np.uint8(0), "unused": np.int8(0)}
    model = tiny.graph(steps, ("x", TensorProto.FLOAT, [9]), ("y", TensorProto.FLOAT, [9]), **values)
    feed = np.linspace(-10, 150, 9, dtype=np.float32)
    expected = tiny.run(model, feed)
    share_constants(model)
    assert [(value.shape, value.dtype.name) for value in tiny.constants_of(model).values()] == [
        ((), "float32"),
        ((1,), "float32"),
        ((), "uint8"),
    ]
    assert np.array_equal(tiny.run(model, feed), expected)


def test_equal_numbers_of_different_types_stay_apart(tiny):
    steps = "Q x s zu -> q; DQ q s zu -> d; Q d s zi -> r; DQ r s zi -> y"
    model = tiny.graph(
        steps, ("x", TensorProto.FLOAT, [9]), ("y", TensorProto.FLOAT, [9]), s=0.5, zu=np.uint8(0), zi=np.int8(0)
    )
    share_constants(model)
    assert set(tiny.code_types(model).items()) == {("q", "uint8"), ("d", "uint8"), ("r", "int8"), ("y", "int8")}


def named(tiny: Any, mark: str, *, weight: float = 2, backwards: bool = False) -> onnx.ModelProto:
    """The sum of x * weight and 1: every name starts with `mark`, and nothing else depends on it."""
    constants = {f"{mark}w": np.float32(weight), f"{mark}one": np.float32(1)}
    ordered = dict(reversed(constants.items())) if backwards else constants
    ends = (f"{mark}x", TensorProto.FLOAT, [3]), (f"{mark}y", TensorProto.FLOAT, [3])
    model = tiny.graph(f"Mul {mark}x {mark}w -> {mark}m; Add {mark}m {mark}one -> {mark}y", *ends, **ordered)
    model.graph.node[0].name = model.graph.node[0].doc_string = mark
    return model


def test_names_and_the_order_of_constants_leave_no_trace(tiny):
    models = [
        named(tiny, "a"),
        named(tiny, "serving_default/:0" * 12, backwards=True),
        named(tiny, "image"),
        named(tiny, "a", weight=3),
    ]
    for model in models:
        name_canonically(model)
        onnx.checker.check_model(model, full_check=True)
    first, second, third, other = (model.SerializeToString(deterministic=True) for model in models)
    assert first == second == third != other
    assert (models[0].graph.input[0].name, models[0].graph.output[0].name) == ("image", "scores")
    assert tiny.run(models[0], np.float32([1, 2, 3])).tolist() == [3, 5, 7]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_nodes_stand_as_the_output_needs_them(tiny, order):
    # Two branches of x that meet in y: which comes first is open, and must not depend on where they stood.
    ends = ("x", TensorProto.FLOAT, [3]), ("y", TensorProto.FLOAT, [3])
    model = tiny.graph("Mul x a -> m; Add x b -> n; Sub m n -> y", *ends, a=np.float32(2), b=np.float32(1))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes[place] for place in order)
    order_canonically(model)
    assert [node.op_type for node in model.graph.node] == ["Mul", "Add", "Sub"]
    assert tiny.run(model, np.float32([1, 2, 3])).tolist() == [0, 1, 2]


def test_what_the_output_does_not_need_goes(tiny):
    ends = ("x", TensorProto.FLOAT, [3]), ("y", TensorProto.FLOAT, [3])
    model = tiny.graph("Mul x a -> m; Add x a -> y", *ends, a=np.float32(2))
    order_canonically(model)
    assert [node.op_type for node in model.graph.node] == ["Add"]
