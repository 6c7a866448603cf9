"""Turns the graph's two ends into what apps see: the name of an open batch, and the order of the input's axes."""

from typing import Final

import onnx

from mbexport.errors import StageError
from mbexport.onnx_passes.graph import consumers_of, replace_uses

BATCH: Final = "batch"
_CHANNELS_FIRST: Final = (0, 3, 1, 2)


def name_batch(model: onnx.ModelProto) -> None:
    """Gives an open batch one name at both ends; a batch that is a number stays.

    before:  image (unk__12, px, px, 3) -> ... -> scores (unk__13, classes)
    after:   image (batch, px, px, 3) -> ... -> scores (batch, classes)
    """
    for value in (*model.graph.input, *model.graph.output):
        size = value.type.tensor_type.shape.dim[0]
        if not size.HasField("dim_value"):
            size.dim_param = BATCH
    del model.graph.value_info[:]  # they bear the old names


def take_channels_first(model: onnx.ModelProto) -> None:
    """Gives the input the order of axes that convolutions take, so that nothing has to be turned.

    before:  image (n, px, px, 3) -> DQ -> Transpose(0, 3, 1, 2) -> Conv
    after:   image (n, 3, px, px) -> DQ -> Conv

    For grey images tf2onnx writes the Transpose as a Reshape to (n, 1, px, px). Raises `StageError` if something
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
