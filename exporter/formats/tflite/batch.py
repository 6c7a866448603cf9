"""Open the batch of a .tflite that was converted for one image. Loads no TensorFlow."""

from typing import Any, Final

import numpy as np
from ai_edge_litert.schema_py_generated import BuiltinOperator

from mbexport.errors import StageError
from mbexport.formats.tflite.file import opened, packed

_ANY: Final = -1


def with_open_batch(content: bytes) -> bytes:
    """The same network with -1 for the batch in every activation's shape signature, and in what is reshaped to.

    The shapes stay (1, …): what the file is until it is resized. Raises `StageError` for a file that is not for one
    image.
    """
    model = opened(content)
    for graph in model.subgraphs:
        if any(graph.tensors[index].shape[0] != 1 for index in graph.inputs):
            raise StageError("a .tflite whose batch is to be opened must be for one image")
        activations = {*graph.inputs, *(index for op in graph.operators for index in op.outputs)}
        for index in activations:
            shape = graph.tensors[index].shape
            graph.tensors[index].shapeSignature = np.array([_ANY, *shape[1:]], np.int32)
        for op in graph.operators:
            if model.operatorCodes[op.opcodeIndex].builtinCode == BuiltinOperator.RESHAPE:
                _open_reshape(model, graph, op)
    return packed(model)


def _open_reshape(model: Any, graph: Any, op: Any) -> None:
    """Lets a RESHAPE of one image to (1, …) take any number of them."""
    constant = graph.tensors[op.inputs[1]]
    wanted = np.frombuffer(bytes(model.buffers[constant.buffer].data), np.int32)
    if wanted[0] not in (1, _ANY) or (wanted[1:] == _ANY).any():
        raise StageError(f"a reshape must keep the images apart, got one to {wanted.tolist()}")
    opened_shape = np.array([_ANY, *wanted[1:]], np.int32)
    model.buffers[constant.buffer].data = np.frombuffer(opened_shape.tobytes(), np.uint8)
    op.builtinOptions = None  # may hold the shape a second time; the tensor's is what counts
    op.builtinOptionsType = 0
