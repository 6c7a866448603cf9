"""Turns shared zero points of weights into some for each tensor."""

import numpy as np
import onnx
from onnx import numpy_helper

from mbexport.onnx_passes.graph import constants_of


def give_weights_their_own_zero_points(model: onnx.ModelProto) -> None:
    """Gives each tensor of int8 weights zero points that no other tensor has.

    before:  DQ(weights_1, scales_1, zeros), DQ(weights_2, scales_2, zeros)
    after:   DQ(weights_1, scales_1, zeros), DQ(weights_2, scales_2, zeros_2)

    Where x86 has no VNNI, onnxruntime computes exactly with uint8 weights only, which an app asks it to make
    (decision 0014). It makes the zero points uint8 once for each tensor of weights, and fails at the second time.
    """
    constants, taken = constants_of(model), set[str]()
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants or len(node.input) < 3:
            continue
        zeros = node.input[2]
        if constants[zeros].dtype == np.int8 and zeros in taken:
            node.input[2] = f"{node.input[0]}_zeros"
            model.graph.initializer.append(numpy_helper.from_array(constants[zeros], node.input[2]))
        taken.add(zeros)
