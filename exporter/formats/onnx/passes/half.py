"""Store float weights as float16, cast to float32 where they are read."""

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mbexport.errors import StageError
from mbexport.formats.onnx.passes.graph import constants_of

_LARGEST: Final = float(np.finfo(np.float16).max)  # 65504


def store_weights_as_half(model: onnx.ModelProto) -> None:
    """Stores the kernels of convolutions as float16; biases are few and stay float32.

    before:  Conv(x, weights float32)
    after:   Cast(weights float16, to=float32) -> Conv(x, weights float32)

    onnxruntime folds the Cast when it loads the file, so that the kernels, and their speed, are those of float32;
    on the CPU it has no convolution in float16. Raises `StageError` for a weight that float16 cannot hold.
    """
    graph, constants = model.graph, constants_of(model)
    kernels = {tensor.name: tensor for tensor in graph.initializer if _is_kernel(tensor)}
    cast = set[str]()
    for node in list(graph.node):
        for position, name in enumerate(node.input):
            if name not in kernels:
                continue
            if name not in cast:
                cast.add(name)
                kernels[name].CopyFrom(numpy_helper.from_array(_as_half(constants[name]), name))
                place = list(graph.node).index(node)
                graph.node.insert(place, helper.make_node("Cast", [name], [f"{name}_cast"], to=TensorProto.FLOAT))
            node.input[position] = f"{name}_cast"


def _is_kernel(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1)


def _as_half(weights: np.ndarray) -> np.ndarray:
    largest = float(np.abs(weights).max(initial=0))
    if not largest <= _LARGEST:
        raise StageError(f"weights stored as float16 must be at most {_LARGEST:g} in size, got {largest:g}")
    return weights.astype(np.float16)
