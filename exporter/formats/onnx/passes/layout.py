"""Passes on the order of axes: nothing is turned to channels last and back, and codes are moved as codes."""

from collections.abc import Mapping
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
    shapes_of,
)

_TO_LAST: Final = [0, 2, 3, 1]
_TO_FIRST: Final = [0, 3, 1, 2]
# What computes each number by itself, or from two in the same place.
_POINTWISE: Final = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "Relu", "Clip", "Min", "Max", "LeakyRelu", "Sigmoid"),
        *("HardSwish", "HardSigmoid", "Add", "Sub", "Mul", "Div"),
    }
)
_SIDES: Final = {1, 2}  # the axes of height and width, with channels last
_LAST_AXES: Final = (3, -1)


def keep_channels_first(model: onnx.ModelProto) -> None:
    """Computes with channels first throughout, as convolutions do, and turns only what is left at the ends.

    before:  Conv -> Q -> Transpose(0, 2, 3, 1) -> DQ -> HardSwish -> Q -> Transpose(0, 3, 1, 2) -> DQ -> Conv
    after:   Conv -> Q -> DQ -> HardSwish -> Q -> DQ -> Conv

    tf2onnx turns an activation that it does not know, and a mean whose result is not read by convolutions alone.
    """
    if not any(_turns(node) == _TO_LAST for node in model.graph.node):
        return
    _write_reshapes_as_turns(model)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    first: dict[str, str] = {}  # by a tensor with channels last, the same one with channels first
    constants = constants_of(model)
    for node in nodes:
        turned = _turns(node)
        if turned == _TO_FIRST and node.input[0] in first:
            node = helper.make_node("Identity", [first[node.input[0]]], node.output)  # noqa: PLW2901
        elif turned == _TO_LAST:
            first[node.output[0]] = node.input[0]
        elif moved := _with_channels_first(node, first, constants):
            model.graph.node.append(moved)
            first[node.output[0]] = moved.output[0]
            node = helper.make_node("Transpose", moved.output, node.output, perm=_TO_LAST)  # noqa: PLW2901
        model.graph.node.append(node)
    _drop_identities(model)
    drop_unused(model)


def _turns(node: onnx.NodeProto) -> list[int] | None:
    return list(node.attribute[0].ints) if node.op_type == "Transpose" and node.attribute else None


def _write_reshapes_as_turns(model: onnx.ModelProto) -> None:
    """Writes each Reshape of maps of one pixel that only turns them as the Transpose that it is."""
    shapes, constants = shapes_of(model), constants_of(model)
    for node in model.graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        given, made = shapes.get(node.input[0], ()), constants[node.input[1]].tolist()
        if len(given) != len(_TO_LAST) or len(made) != len(_TO_LAST):
            continue
        for order in (_TO_LAST, _TO_FIRST):
            if [given[axis] for axis in order[1:]] == made[1:] != list(given[1:]):
                turn = helper.make_node("Transpose", node.input[:1], node.output, perm=order)
                node.CopyFrom(turn)


def _with_channels_first(
    node: onnx.NodeProto, first: Mapping[str, str], constants: Mapping[str, NDArray[Any]]
) -> onnx.NodeProto | None:
    """The node on tensors with channels first, where it reads no others and gives the same numbers; else None."""
    data = [name for name in node.input if name not in constants]
    if not data or any(name not in first for name in data):
        return None
    moved = onnx.NodeProto.FromString(node.SerializeToString())
    moved.input[:] = [first.get(name, name) for name in node.input]
    moved.output[:] = [f"{node.output[0]}_channels_first"]
    if node.op_type in _POINTWISE:
        others = [constants[name] for name in node.input if name in constants]
        return moved if all(value.size == 1 for value in others) else None
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Concat" and attributes["axis"] in _LAST_AXES:
        del moved.attribute[:]
        moved.attribute.append(helper.make_attribute("axis", 1))
        return moved
    if node.op_type == "ReduceMean" and attributes.get("keepdims", 1):
        axes = attributes.get("axes") or (constants[node.input[1]].tolist() if len(node.input) > 1 else [])
        if set(axes) == _SIDES:
            return helper.make_node("GlobalAveragePool", moved.input[:1], moved.output)
    return None


def _drop_identities(model: onnx.ModelProto) -> None:
    ends = {value.name for value in model.graph.output}
    for node in list(model.graph.node):
        if node.op_type == "Identity" and node.output[0] not in ends:
            replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)


def pad_codes(model: onnx.ModelProto) -> None:
    """Pads codes with the code of zero, in the place of numbers with zero.

    before:  DQ(s, z) -> Pad(0) -> Q(s, z)
    after:   Pad(z)

    onnxruntime pads numbers in floats, and makes codes of them again.
    """
    constants, consumers, producers = constants_of(model), consumers_of(model), producers_of(model)
    for node in list(model.graph.node):
        source, readers = producers.get(node.input[0]) if node.input else None, consumers[node.output[0]]
        if node.op_type != "Pad" or source is None or source.op_type != "DequantizeLinear" or len(readers) != 1:
            continue
        (reader,) = readers
        if reader.op_type != "QuantizeLinear" or not _pads_with_zero(node, constants):
            continue
        if all(is_equal(constants[a], constants[b]) for a, b in zip(source.input[1:], reader.input[1:], strict=True)):
            zero_point = constants[source.input[2]]
            model.graph.initializer.append(numpy_helper.from_array(zero_point, f"{node.output[0]}_zero"))
            node.input[:] = [source.input[0], node.input[1], f"{node.output[0]}_zero"]
            node.output[0] = reader.output[0]
            model.graph.node.remove(reader)
    drop_unused(model)


def _pads_with_zero(node: onnx.NodeProto, constants: Mapping[str, NDArray[Any]]) -> bool:
    mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"constant")
    value = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    return mode == b"constant" and value is not None and not value.any()
