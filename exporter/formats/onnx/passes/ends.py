"""Passes on the ends of a graph: the batch, channels first, and the head between the last features and the scores."""

from typing import Final

import onnx
from onnx import helper

from mbexport.errors import StageError
from mbexport.formats.onnx.passes.graph import constants_of, consumers_of, drop_unused, replace_uses, shapes_of

BATCH: Final = "batch"
_CHANNELS_FIRST: Final = (0, 3, 1, 2)
_SIDES: Final = [2, 3]  # the axes of height and width, with channels first


def name_batch(model: onnx.ModelProto) -> None:
    """Gives an open batch one name at both ends; a batch that is a number stays.

    before:  image (unk__12, h, w, 3) -> ... -> scores (unk__13, classes)
    after:   image (batch, h, w, 3) -> ... -> scores (batch, classes)
    """
    for value in (*model.graph.input, *model.graph.output):
        size = value.type.tensor_type.shape.dim[0]
        if not size.HasField("dim_value"):
            size.dim_param = BATCH
    del model.graph.value_info[:]  # they bear the old names


def take_channels_first(model: onnx.ModelProto) -> None:
    """Gives the input the order of axes that convolutions take, so that nothing has to be turned.

    before:  image (n, h, w, 3) -> DQ -> Transpose(0, 3, 1, 2) -> Conv
    after:   image (n, 3, h, w) -> DQ -> Conv

    For grey images tf2onnx writes the Transpose as a Reshape to (n, 1, h, w). Raises `StageError` if something
    other than quantization stands before it.
    """
    consumers, source = consumers_of(model), model.graph.input[0]
    name = source.name
    node = consumers[name][0]
    while node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        name = node.output[0]
        node = consumers[name][0]
    if node.op_type not in ("Transpose", "Reshape") or len(consumers[name]) > 1:
        raise StageError(f"the input must be turned to channels first before anything else, got {node.op_type}")
    replace_uses(model, node.output[0], node.input[0])
    model.graph.node.remove(node)
    sizes = source.type.tensor_type.shape.dim
    turned = [onnx.TensorShapeProto.Dimension.FromString(sizes[axis].SerializeToString()) for axis in _CHANNELS_FIRST]
    del sizes[:]
    sizes.extend(turned)


def pool_globally(model: onnx.ModelProto) -> None:
    """Writes a mean over height and width as the pooling that it is, as tf2onnx itself does below opset 18.

    before:  ReduceMean(axes=[2, 3], keepdims=1)
    after:   GlobalAveragePool

    onnxruntime has an integer kernel for the pooling, and none for the mean.
    """
    constants = constants_of(model)
    for place, node in enumerate(list(model.graph.node)):
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        keeps = {attribute.name: attribute.i for attribute in node.attribute}.get("keepdims", 1)
        if keeps and constants[node.input[1]].tolist() == _SIDES:
            model.graph.node.remove(node)
            model.graph.node.insert(place, helper.make_node("GlobalAveragePool", node.input[:1], node.output[:]))
    drop_unused(model)


def drop_idle_reshapes(model: onnx.ModelProto) -> None:
    """Drops each Reshape that changes nothing, so that the convolution behind it stays an integer kernel.

    before:  GlobalAveragePool (n, c, 1, 1) -> Q -> Reshape (n, c, 1, 1) -> DQ -> Conv
    after:   GlobalAveragePool (n, c, 1, 1) -> Q -> DQ -> Conv

    Where maps are down to one pixel tf2onnx leaves one before each convolution, or now and then one fewer: it
    walks over sets.
    """
    constants, shapes = constants_of(model), shapes_of(model)
    for node in list(model.graph.node):
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        if _keeps(shapes.get(node.input[0]), constants[node.input[1]].tolist()):
            replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)
    drop_unused(model)


def _keeps(shape: tuple[int | str, ...] | None, target: list[int]) -> bool:
    """Whether a Reshape to `target`, where -1 is what is left over, gives `shape` again; its batch may be open."""
    return shape is not None and shape[1:] == tuple(target[1:]) and target[0] in (-1, shape[0])
