"""Turns a .tflite file into an .onnx file of the same network: the same integers, where it is int8."""

import tempfile
from pathlib import Path
from typing import Final

import onnx
from onnx import TensorProto

from mbexport import __version__
from mbexport.artifact import Precision
from mbexport.errors import StageError
from mbexport.onnx_passes import FP32_PASSES, INT8_PASSES

OPSET: Final = 17  # phones carry old runtimes: onnxruntime 1.12 (2022) reads this opset and IR version
IR_VERSION: Final = 8


def onnx_from_tflite(tflite: bytes, precision: Precision) -> bytes:
    """The .onnx of a .tflite: input `image` (1, px, px, channels) and output `scores` (1, classes), of the same types.

    Raises `StageError` if the result is not valid ONNX, or stores weights of an int8 network as floats.
    """
    import tf2onnx  # slow: it loads TensorFlow

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.tflite"  # tf2onnx reads files only
        source.write_bytes(tflite)
        model, _ = tf2onnx.convert.from_tflite(str(source), opset=OPSET)
    for transform in INT8_PASSES if precision is Precision.INT8 else FP32_PASSES:
        transform(model)
    _set_header(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise StageError(f"the ONNX graph must be valid, got: {error}") from None
    if precision is Precision.INT8:
        _require_int8_weights(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _set_header(model: onnx.ModelProto) -> None:
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "mbexport", __version__
    model.graph.name = "mobilenet_v1"
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:]


def _require_int8_weights(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            raise StageError(f"weights of an int8 network must be int8, got float32 for {tensor.name}")
