"""Turns clips that quantization repeats into nothing."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mbexport.onnx_passes.graph import constants_of, consumers_of, drop_unused, replace_uses


def absorb_clips(model: onnx.ModelProto) -> None:
    """Drops a Clip whose limits the quantization behind it has anyway: saturation is the clip.

    before:  Conv -> Clip(0, 6) -> Q(range [0, 5.9])
    after:   Conv -> Q(range [0, 5.9])

    Only where it is exact: where the limits themselves round to the lowest and to the highest code.
    """
    constants, consumers = constants_of(model), consumers_of(model)
    for node in list(model.graph.node):
        users = consumers[node.output[0]]
        if node.op_type != "Clip" or not users or any(user.op_type != "QuantizeLinear" for user in users):
            continue
        low, high = (float(constants[name]) for name in node.input[1:3])
        if all(_saturates_within(constants, user, low, high) for user in users):
            replace_uses(model, node.output[0], node.input[0])
            model.graph.node.remove(node)
    drop_unused(model)


def _saturates_within(constants: dict[str, NDArray[Any]], quantize: onnx.NodeProto, low: float, high: float) -> bool:
    scale, zero_point = constants[quantize.input[1]].item(), constants[quantize.input[2]]
    codes = np.iinfo(zero_point.dtype)
    lowest, highest = (np.rint(np.float32(limit) / np.float32(scale)) + zero_point.item() for limit in (low, high))
    return bool(lowest <= codes.min and highest >= codes.max)
