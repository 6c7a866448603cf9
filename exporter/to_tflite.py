"""Turns a tf_keras network into a .tflite file: float32, or int8 with the ranges and weights of its fake quantization.

The only module that calls TFLiteConverter.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras

from mbexport.artifact import Io
from mbexport.errors import StageError
from mbexport.models.mobilenet_v1 import INPUT_NAME

OUTPUT_NAME: Final = "scores"
# Ops of a dynamic batch: mobile delegates refuse a graph that holds one.
_DYNAMIC_OPS: Final = frozenset({"SHAPE", "STRIDED_SLICE", "PACK"})
_IO_TYPES: Final = {Io.UINT8: tf.uint8, Io.INT8: tf.int8, Io.FLOAT32: tf.float32}


def fp32_tflite(model: tf_keras.Model) -> bytes:
    """A float32 .tflite: input `image` (1, px, px, channels), normalized; output `scores` (1, classes)."""
    return _checked(_converter(model).convert())


def int8_tflite(quantized: tf_keras.Model, io: Io) -> bytes:
    """An all-integer .tflite of a fake-quantized network; `io` is the type of its input and output.

    Raises `StageError` if the converter changed what the input's codes stand for.
    """
    converter = _converter(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = _IO_TYPES[io]
    converter.inference_output_type = _IO_TYPES[io]
    return _checked(converter.convert())


def _converter(model: tf_keras.Model) -> Any:
    """A converter of a concrete function with a batch of one: from_keras_model would leave the batch dynamic.

    What the function reads is tracked by a bare module: given the Keras model itself, the converter saves it
    whole first and traces every layer again, which takes twice as long as everything else.
    """
    tracked = tf.Module()
    tracked.variables_read = model.variables
    image = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=INPUT_NAME)
    function = tf.function(lambda image: {OUTPUT_NAME: model(image, training=False)}, input_signature=[image])
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tracked)


def _checked(content: bytes) -> bytes:
    """The same bytes, once they load, are static, and no quantized tensor has a range too narrow to be real."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    dynamic = sorted({op["op_name"] for op in interpreter._get_ops_details()} & _DYNAMIC_OPS)
    if dynamic:
        raise StageError(f"a .tflite file must be static, got the op {dynamic[0]}")
    for tensor in interpreter.get_tensor_details():
        scales = tensor["quantization_parameters"]["scales"]
        is_activation = tensor["dtype"] in (np.int8, np.uint8) and len(scales) == 1
        if is_activation and not scales[0] * 255 > 1e-5:
            raise StageError(f"tensor {tensor['name']} must have a calibrated range, got one of {scales[0] * 255:g}")
    return content
