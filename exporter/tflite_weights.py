"""Turns a .tflite whose converter rounded the weights into one that holds the integers that were decided.

For dynamic range and for 16-bit activations the converter gives each channel the scale of its largest weight and
rounds every weight to the nearest code. Calibration rounds better than that, and its codes need its scales.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType
from numpy.typing import NDArray

from mbexport.calibration.affine import weight_affine
from mbexport.errors import StageError
from mbexport.tflite_file import opened, packed
from mbexport.tflite_proof import Decided

_CONVOLUTIONS: Final = (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D)


def with_decided_weights(content: bytes, convolutions: Mapping[str, Decided]) -> bytes:
    """The file with the codes and scales of `convolutions`, which are in the order of the network.

    Biases stay floats in a file of dynamic range; with 16-bit activations they are int64, in whole steps of input
    scale times weight scale. Raises `StageError` if the file is of another network.
    """
    model = opened(content)
    (graph,) = model.subgraphs
    ops = [op for op in graph.operators if model.operatorCodes[op.opcodeIndex].builtinCode in _CONVOLUTIONS]
    if len(ops) != len(convolutions):
        raise StageError(f"the .tflite must have {len(convolutions)} convolutions, got {len(ops)}")
    for (name, decided), op in zip(convolutions.items(), ops, strict=True):
        given, kernel, bias = (graph.tensors[index] for index in op.inputs)
        turned = decided.kernel.transpose(3, 0, 1, 2)
        shape = tuple(int(size) for size in kernel.shape)
        if shape != turned.shape:
            raise StageError(f"the kernel of {name} must have shape {turned.shape}, got {shape}")
        if kernel.type == TensorType.FLOAT32:
            continue  # so small that the converter leaves it as it is
        affine = weight_affine(turned, axis=kernel.quantization.quantizedDimension, least=decided.least)
        _store(model, kernel, affine.quantize(turned, low=-127).astype(np.int8))
        scales = np.array(affine.scale)
        kernel.quantization.scale = scales.astype(np.float32)
        if bias.type != TensorType.FLOAT32:
            bias_scales = scales * given.quantization.scale[0]
            _store(model, bias, np.rint(decided.bias / bias_scales).astype(np.int64))
            bias.quantization.scale = bias_scales.astype(np.float32)
    return packed(model)


def _store(model: Any, tensor: Any, values: NDArray[Any]) -> None:
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
