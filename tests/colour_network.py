"""An .onnx that computes something simple, for tests that need any network at all."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_colour_network(
    path: Path, *, classes: int = 10, top: float = 1, shape: tuple[int, ...] = (1, 32, 32, 3), outputs: int = 1
) -> Path:
    """A network that averages the picture's colours and multiplies them with a matrix."""
    weights = numpy_helper.from_array(
        np.linspace(-1, top, shape[-1] * classes, dtype=np.float32).reshape(shape[-1], classes), "weights"
    )
    names = [f"scores{i}" for i in range(outputs)]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["colour"], axes=[1, 2], keepdims=0),
            *(helper.make_node("MatMul", ["colour", "weights"], [name]) for name in names),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, classes)) for name in names],
        [weights],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
