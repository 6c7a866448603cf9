"""Weights whose zero points are one constant, and what each tensor gets of its own."""

import numpy as np
from onnx import TensorProto, helper

from mbexport.formats.onnx.passes.int8 import give_weights_their_own_zero_points

FLOAT = TensorProto.FLOAT


def test_each_tensor_of_int8_weights_has_zero_points_of_its_own(tiny):
    codes = {"v": np.int8([3, -4]), "w": np.int8([5, 6]), "u": np.int8([7, 8])}
    shared = {"s": np.float32([0.5, 0.25]), "z": np.int8([0, 0])}
    steps = "DQ v s z -> dv; DQ w s z -> dw; DQ u s z -> du; Sum x dv dw du -> y"
    model = tiny.graph(steps, ("x", FLOAT, [2]), ("y", FLOAT, [2]), **codes, **shared)
    for node in model.graph.node[:3]:
        node.attribute.append(helper.make_attribute("axis", 0))  # a scale for each number, as for a kernel's channels
    expected = tiny.run(model, np.float32([1, 2]))
    give_weights_their_own_zero_points(model)
    zeros = [node.input[2] for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert len(set(zeros)) == 3
    constants = tiny.constants_of(model)
    assert all(constants[name].dtype == np.int8 and not constants[name].any() for name in zeros)
    assert tiny.run(model, np.float32([1, 2])).tolist() == expected.tolist() == [8.5, 4.5]


def test_zero_points_of_activations_and_of_biases_stay_shared(tiny):
    steps = "Q x s z -> q; DQ q s z -> d; DQ b s0 zb -> db; DQ c s0 zb -> dc; Sum d db dc -> y"
    values = {"s": 0.5, "z": np.uint8(3), "s0": 0.25, "zb": np.int32(0), "b": np.int32([4]), "c": np.int32([8])}
    model = tiny.graph(steps, ("x", FLOAT, [1]), ("y", FLOAT, [1]), **values)
    before = model.SerializeToString(deterministic=True)
    give_weights_their_own_zero_points(model)
    assert model.SerializeToString(deterministic=True) == before
