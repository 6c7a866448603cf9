"""Turns the ONNX graph that tf2onnx writes into the one that we ship: an ordered list of small passes.

Order: first the tensors' types (1), then what that makes redundant (2), then what stands between a convolution and
its neighbours' quantization (3, 4), names last (5), so that they are given to what is left.
Each pass changes a ModelProto in place; `DQ` and `Q` stand for DequantizeLinear and QuantizeLinear.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_INT8_TO_UINT8: Final = 128
_MOVERS: Final = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity"})


def use_uint8_activations(model: onnx.ModelProto) -> None:
    """Gives activations uint8 codes in the place of int8 ones: code and zero point both move by 128.

    before:  Q(zero_point=int8 -128) -> DQ(zero_point=int8 -128) -> Conv(weights int8)
    after:   Q(zero_point=uint8   0) -> DQ(zero_point=uint8   0) -> Conv(weights int8)

    The real numbers are the same, and so are the integers that a convolution adds up. uint8 activations with int8
    weights is the pair for which onnxruntime has its fastest kernels, and the camera's bytes then need no
    conversion. An int8 input or output of the graph keeps its type; the input is requantized once, exactly.
    """
    constants, shifted = _constants(model), set[str]()
    outside = _outside(model)
    for node in list(model.graph.node):
        is_quantization = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        if not is_quantization or node.input[0] in constants or constants[node.input[2]].dtype != np.int8:
            continue
        name = f"{node.input[2]}_uint8"
        if name not in shifted:
            shifted.add(name)
            zero_point = (constants[node.input[2]].astype(np.int16) + _INT8_TO_UINT8).astype(np.uint8)
            model.graph.initializer.append(numpy_helper.from_array(zero_point, name))
        if node.op_type == "DequantizeLinear" and node.input[0] in outside:
            _requantize_behind(model, node, zero_point=name)
        elif node.op_type == "DequantizeLinear" or node.output[0] not in outside:
            node.input[2] = name


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


def _requantize_behind(model: onnx.ModelProto, node: onnx.NodeProto, *, zero_point: str) -> None:
    real, codes = node.output[0], f"{node.output[0]}_codes"
    _replace_uses(model, real, f"{real}_again")
    place = list(model.graph.node).index(node) + 1
    scale = node.input[1]
    model.graph.node.insert(place, helper.make_node("QuantizeLinear", [real, scale, zero_point], [codes]))
    again = helper.make_node("DequantizeLinear", [codes, scale, zero_point], [f"{real}_again"])
    model.graph.node.insert(place + 1, again)


def merge_requantizations(model: onnx.ModelProto) -> None:
    """Drops a DQ and the Q behind it where both have one scale and one zero point: they give back the codes.

    before:  image -> DQ(s, z) -> Q(s, z) -> DQ(s, z) -> Conv
    after:   image -> DQ(s, z) -> Conv
    """
    constants, producers = _constants(model), _producers(model)
    outputs = {value.name for value in model.graph.output}
    for node in list(model.graph.node):
        source = producers.get(node.input[0])
        if node.op_type != "QuantizeLinear" or source is None or source.op_type != "DequantizeLinear":
            continue
        if not all(_equal(constants[a], constants[b]) for a, b in zip(source.input[1:], node.input[1:], strict=True)):
            continue
        if node.output[0] in outputs:
            producers[source.input[0]].output[0] = node.output[0]  # the graph's output keeps its name
        _replace_uses(model, node.output[0], source.input[0])
        model.graph.node.remove(node)
    _drop_unused(model)


def absorb_clips(model: onnx.ModelProto) -> None:
    """Drops a Clip whose limits the quantization behind it has anyway: saturation is the clip.

    before:  Conv -> Clip(0, 6) -> Q(range [0, 5.9])
    after:   Conv -> Q(range [0, 5.9])

    Only where it is exact: where the limits themselves round to the lowest and to the highest code.
    """
    constants, consumers = _constants(model), _consumers(model)
    for node in list(model.graph.node):
        users = consumers[node.output[0]]
        if node.op_type != "Clip" or not users or any(user.op_type != "QuantizeLinear" for user in users):
            continue
        low, high = (float(constants[name]) for name in node.input[1:3])
        if all(_saturates_within(constants, user, low, high) for user in users):
            _replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)
    _drop_unused(model)


def _saturates_within(constants: dict[str, NDArray[Any]], quantize: onnx.NodeProto, low: float, high: float) -> bool:
    scale, zero_point = constants[quantize.input[1]].item(), constants[quantize.input[2]]
    codes = np.iinfo(zero_point.dtype)
    lowest, highest = (np.rint(np.float32(limit) / np.float32(scale)) + zero_point.item() for limit in (low, high))
    return bool(lowest <= codes.min and highest >= codes.max)


def drop_reshapes_before_convolutions(model: onnx.ModelProto) -> None:
    """Drops a Reshape that changes nothing between pooling and the head, so that the head stays an integer kernel.

    before:  GlobalAveragePool (n, c, 1, 1) -> Q -> Reshape (n, c, 1, 1) -> DQ -> Conv
    after:   GlobalAveragePool (n, c, 1, 1) -> Q -> DQ -> Conv
    """
    constants, producers = _constants(model), _producers(model)
    shapes = _shapes(model)
    for node in list(model.graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        source = producers.get(node.input[0])
        while source is not None and source.op_type in ("QuantizeLinear", "DequantizeLinear"):
            source = producers.get(source.input[0])
        is_pooled = source is not None and source.op_type == "GlobalAveragePool"
        if is_pooled and shapes.get(node.output[0]) == shapes.get(node.input[0]) is not None:
            _replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)
    _drop_unused(model)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor whose shape is known in full."""
    inferred = onnx.shape_inference.infer_shapes(model)
    return {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in inferred.graph.value_info
        if all(size.HasField("dim_value") for size in value.type.tensor_type.shape.dim)
    }


def name_canonically(model: onnx.ModelProto) -> None:
    """Names every tensor after its place, and orders the constants by use: equal networks give equal bytes.

    before:  "model/quant_conv_pw_9/FakeQuantWithMinMaxVarsPerChannel;..." (changes with every run)
    after:   nodes "conv_3", tensors "conv_3_out", constants "conv_3_weight"; input "image", output "scores"
    """
    graph = model.graph
    names: dict[str, str] = {graph.input[0].name: "image", graph.output[0].name: "scores"}
    counts: dict[str, int] = defaultdict(int)
    constants = {initializer.name: initializer for initializer in graph.initializer}
    used: list[str] = []
    for node in graph.node:
        label = node.op_type.lower()
        node.name = f"{label}_{counts[label]}"
        counts[label] += 1
        for position, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = f"{node.name}_in{position}"
                used.append(name)
        for name in node.output:
            names.setdefault(name, f"{node.name}_out")
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.doc_string = ""
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
    kept = [constants[name] for name in used]
    for tensor in kept:
        tensor.name = names[tensor.name]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)


def share_constants(model: onnx.ModelProto) -> None:
    """Stores equal constants once.

    before:  Q(scale_1, zero_1) -> DQ(scale_2, zero_2), with equal values
    after:   Q(scale_1, zero_1) -> DQ(scale_1, zero_1)

    Except int8: where onnxruntime makes uint8 weights of int8 ones (decision 0014), it fails at the second tensor of
    weights whose zero points it has made uint8 already.
    """
    first: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    for name, value in _constants(model).items():
        if value.dtype == np.int8:
            continue
        original = first.setdefault((value.dtype.str, value.shape, value.tobytes()), name)
        if original != name:
            _replace_uses(model, name, original)
    _drop_unused(model)


INT8_PASSES: Final[tuple[Callable[[onnx.ModelProto], None], ...]] = (
    use_uint8_activations,
    merge_requantizations,
    absorb_clips,
    drop_reshapes_before_convolutions,
    share_constants,
    name_canonically,
)
FP32_PASSES: Final[tuple[Callable[[onnx.ModelProto], None], ...]] = (
    drop_reshapes_before_convolutions,
    share_constants,
    name_canonically,
)


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def _consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            consumers[name].append(node)
    return consumers


def _replace_uses(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _drop_unused(model: onnx.ModelProto) -> None:
    """Removes nodes and constants that nothing reads any more."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            needed.update(node.input)
        else:
            graph.node.remove(node)
    kept = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)
