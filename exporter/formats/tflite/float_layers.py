"""Put convolutions of an int8 .tflite back into float, between the codes that they read and those that they make.

before:  codes -> CONV_2D(int8 weights) -> codes
after:   codes -> DEQUANTIZE -> CONV_2D(float32 weights) -> QUANTIZE -> codes

Everything else stays as it is: the layers around are the same integers, and what lies between layers is stored in the
codes of calibration. The converter does not do this: it rounds weights that are not fake-quantized for itself, without
a word (decision 0055). Loads no TensorFlow.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.graph_writer import GraphWriter
from mbexport.formats.tflite.integers import Decided, convolutions_of, in_tflite_order


def with_float_layers(content: bytes, convolutions: Mapping[str, Decided], kept: Collection[str]) -> bytes:
    """The int8 file in which the convolutions `kept` have their decided weights and bias as float32.

    `convolutions` are all of the network, by name. Raises `StageError` if the file is of another network.
    """
    if not kept:
        return content
    model = opened(content)
    writer = GraphWriter(model)
    for op, name, decided in convolutions_of(model, convolutions):
        if name in kept:
            _put_in_float(writer, op, decided)
    return packed(model)


def _put_in_float(writer: GraphWriter, op: Any, decided: Decided) -> None:
    """Make `op` compute in float32, between two ops that convert."""
    (codes, kernel, bias), (made,) = op.inputs, op.outputs
    real, result = writer.float_like(codes), writer.float_like(made)
    writer.store_floats(kernel, np.ascontiguousarray(in_tflite_order(decided), np.float32))
    writer.store_floats(bias, decided.bias)
    op.inputs, op.outputs = np.array([real, kernel, bias], np.int32), np.array([result], np.int32)
    writer.dequantize(codes, real, before=op)
    writer.quantize(result, made, behind=op)
