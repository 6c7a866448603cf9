"""A pass on the layers that were kept in float in an int8 network: onnxruntime must not quantize them after all.

Its optimizer (WeightBiasQuantization, seen in 1.32) rounds the float weights of a convolution between DQ and
Q to 8 bits, with one scale for all channels. It would undo what the layer was kept for, without a word.
"""

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mbexport.formats.onnx.passes.graph import constants_of, drop_unused, producers_of

_WITH_WEIGHTS: Final = frozenset({"Conv", "Gemm", "MatMul"})


def feed_codes_to_float_layers(model: onnx.ModelProto) -> None:
    """Gives a convolution with float weights codes as floats in the place of dequantized ones.

    before:  DQ(scale, zero) -> Conv(weights)
    after:   Cast -> Sub(zero) -> Conv(weights * scale)

    The sums are the same but for float's rounding. Behind a ReLU the zero is 0, and nothing is subtracted: then this
    costs no more than the DQ.
    """
    constants, producers = constants_of(model), producers_of(model)
    for node in list(model.graph.node):
        source = producers.get(node.input[0])
        if node.op_type not in _WITH_WEIGHTS or source is None or source.op_type != "DequantizeLinear":
            continue
        weights = constants.get(node.input[1])
        if weights is None:  # behind a DQ of their own: integers
            continue
        scale, zero = constants[source.input[1]], float(constants[source.input[2]])
        scaled = (weights.astype(np.float64) * np.float64(scale)).astype(np.float32)
        place, name = list(model.graph.node).index(node), node.output[0]
        codes = [helper.make_node("Cast", [source.input[0]], [f"{name}_cast"], to=TensorProto.FLOAT)]
        if zero:
            model.graph.initializer.append(numpy_helper.from_array(np.float32(zero), f"{name}_zero"))
            codes.append(helper.make_node("Sub", [f"{name}_cast", f"{name}_zero"], [f"{name}_steps"]))
        model.graph.initializer.append(numpy_helper.from_array(scaled, f"{name}_weights"))
        node.input[0], node.input[1] = codes[-1].output[0], f"{name}_weights"
        for offset, each in enumerate(codes):
            model.graph.node.insert(place + offset, each)
    drop_unused(model)
