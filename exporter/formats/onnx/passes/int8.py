"""Passes on quantized tensors: uint8 activations, no Clip that codes already do, no code converted to itself.

And, for compilers that read a quantized op as the numbers it stands for, no op between codes alone.
"""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mbexport.formats.onnx.passes.graph import (
    constants_of,
    consumers_of,
    drop_unused,
    is_equal,
    producers_of,
    replace_uses,
)

_INT8_TO_UINT8: Final = 128
_MOVERS: Final = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity"})


def absorb_clips(model: onnx.ModelProto) -> None:
    """Drops a Clip whose limits the quantization behind it has anyway: saturation is the clip.

    before:  Conv -> Clip(0, 6) -> Q(range [0, 5.9])
    after:   Conv -> Q(range [0, 5.9])

    Only where it is exact: where the limits themselves round to the lowest and to the highest code.
    """
    constants, consumers = constants_of(model), consumers_of(model)
    for node in list(model.graph.node):
        users = consumers[node.output[0]]
        if node.op_type != "Clip" or not users or any(user.op_type != "QuantizeLinear" for user in users):
            continue
        low, high = (float(constants[name]) for name in node.input[1:3])
        if all(_saturates_within(constants, user, low, high) for user in users):
            replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)
    drop_unused(model)


def _saturates_within(constants: dict[str, NDArray[Any]], quantize: onnx.NodeProto, low: float, high: float) -> bool:
    scale, zero_point = constants[quantize.input[1]].item(), constants[quantize.input[2]]
    codes = np.iinfo(zero_point.dtype)
    lowest, highest = (np.rint(np.float32(limit) / np.float32(scale)) + zero_point.item() for limit in (low, high))
    return bool(lowest <= codes.min and highest >= codes.max)


def give_weights_their_own_zero_points(model: onnx.ModelProto) -> None:
    """Gives each tensor of int8 weights zero points that no other tensor has.

    before:  DQ(weights_1, scales_1, zeros), DQ(weights_2, scales_2, zeros)
    after:   DQ(weights_1, scales_1, zeros), DQ(weights_2, scales_2, zeros_2)

    Where x86 has no VNNI, onnxruntime computes exactly with uint8 weights only, which an app asks it to make
    (decision 0014). It makes the zero points uint8 once for each tensor of weights, and fails at the second time.
    """
    constants, taken = constants_of(model), set[str]()
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants or len(node.input) < 3:
            continue
        zeros = node.input[2]
        if constants[zeros].dtype == np.int8 and zeros in taken:
            node.input[2] = f"{node.input[0]}_zeros"
            model.graph.initializer.append(numpy_helper.from_array(constants[zeros], node.input[2]))
        taken.add(zeros)


def use_uint8_activations(model: onnx.ModelProto) -> None:
    """Gives activations uint8 codes in the place of int8 ones: code and zero point both move by 128.

    before:  Q(zero_point=int8 -128) -> DQ(zero_point=int8 -128) -> Conv(weights int8)
    after:   Q(zero_point=uint8   0) -> DQ(zero_point=uint8   0) -> Conv(weights int8)

    The real numbers are the same, and so are the integers that a convolution adds up. uint8 activations with int8
    weights is the pair for which onnxruntime has its fastest kernels, and the camera's bytes then need no
    conversion. An int8 input or output of the graph keeps its type and is requantized once, exactly: a kernel whose
    input and output differ in type would compute in floats.
    """
    constants, outside = constants_of(model), _outside(model)
    shifted: dict[str, str] = {}
    for node in list(model.graph.node):
        is_quantization = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        if not is_quantization or node.input[0] in constants or constants[node.input[2]].dtype != np.int8:
            continue
        zero_point = shifted.setdefault(node.input[2], f"{node.input[2]}_uint8")
        if node.op_type == "DequantizeLinear" and node.input[0] in outside:
            _requantize(model, node, zero_point=zero_point, is_before=False)
        elif node.op_type == "QuantizeLinear" and node.output[0] in outside:
            _requantize(model, node, zero_point=zero_point, is_before=True)
        else:
            node.input[2] = zero_point
    for old, new in shifted.items():
        codes = (constants[old].astype(np.int16) + _INT8_TO_UINT8).astype(np.uint8)
        model.graph.initializer.append(numpy_helper.from_array(codes, new))


def _outside(model: onnx.ModelProto) -> set[str]:
    """The graph's inputs and outputs, and the tensors that hold the same codes in another order or shape."""
    outside = {value.name for value in (*model.graph.input, *model.graph.output)}
    movers = [node for node in model.graph.node if node.op_type in _MOVERS]
    for node in movers:
        if node.input[0] in outside:
            outside.update(node.output)
    for node in reversed(movers):
        if outside.intersection(node.output):
            outside.add(node.input[0])
    return outside


def _requantize(model: onnx.ModelProto, node: onnx.NodeProto, *, zero_point: str, is_before: bool) -> None:
    """Puts Q -> DQ in uint8 before a Q that gives an output of the graph, or behind a DQ that reads an input."""
    real = node.input[0] if is_before else node.output[0]
    codes, again = f"{real}_codes", f"{real}_again"
    if is_before:
        node.input[0] = again
    else:
        replace_uses(model, real, again)
    place = list(model.graph.node).index(node) + (0 if is_before else 1)
    quantization = [node.input[1], zero_point]
    model.graph.node.insert(place, helper.make_node("QuantizeLinear", [real, *quantization], [codes]))
    model.graph.node.insert(place + 1, helper.make_node("DequantizeLinear", [codes, *quantization], [again]))


def merge_requantizations(model: onnx.ModelProto) -> None:
    """Drops a DQ and the Q behind it where both have one scale and one zero point: they give back the codes.

    before:  image -> DQ(s, z) -> Q(s, z) -> DQ(s, z) -> Conv
    after:   image -> DQ(s, z) -> Conv
    """
    constants, producers = constants_of(model), producers_of(model)
    outputs = {value.name for value in model.graph.output}
    for node in list(model.graph.node):
        source = producers.get(node.input[0])
        if node.op_type != "QuantizeLinear" or source is None or source.op_type != "DequantizeLinear":
            continue
        if not all(is_equal(constants[a], constants[b]) for a, b in zip(source.input[1:], node.input[1:], strict=True)):
            continue
        if node.output[0] in outputs:
            producers[source.input[0]].output[0] = node.output[0]  # the graph's output keeps its name
        replace_uses(model, node.output[0], source.input[0])
        model.graph.node.remove(node)
    drop_unused(model)


def reshape_numbers(model: onnx.ModelProto) -> None:
    """Puts each Reshape of codes between a DQ and a Q of their own scale and zero point.

    before:  Q(s, z) -> Reshape -> DQ(s, z)
    after:   Q(s, z) -> DQ(s, z) -> Reshape -> Q(s, z) -> DQ(s, z)

    Qualcomm's compiler takes an op on codes in this form alone, and leaves a bare Reshape, and what is behind it, to
    the CPU. onnxruntime drops both again: its kernels and its numbers are the same.
    """
    producers = producers_of(model)
    for node in list(model.graph.node):
        source = producers.get(node.input[0]) if node.op_type == "Reshape" else None
        if source is None or source.op_type != "QuantizeLinear":
            continue
        codes, made, quantization = node.input[0], node.output[0], source.input[1:]
        node.input[0], node.output[0] = f"{made}_given", f"{made}_numbers"
        place = list(model.graph.node).index(node)
        model.graph.node.insert(place + 1, helper.make_node("QuantizeLinear", [node.output[0], *quantization], [made]))
        model.graph.node.insert(place, helper.make_node("DequantizeLinear", [codes, *quantization], [node.input[0]]))
