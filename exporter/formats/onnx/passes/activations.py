"""Passes on activations: what an older opset has no operator for."""

from typing import Final

import onnx
from onnx import helper

_HARD_SWISH_SINCE: Final = 14  # opset
_SLOPE: Final = {"alpha": 1 / 6, "beta": 0.5}


def spell_out_hard_swish(model: onnx.ModelProto) -> None:
    """Writes a hard-swish as the product that it is, where the opset has no operator for it.

    before:  HardSwish(x)
    after:   Mul(x, HardSigmoid(x))

    onnxruntime computes it in these two anyway, and of the same numbers.
    """
    version = next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
    if version >= _HARD_SWISH_SINCE:
        return
    for node in list(model.graph.node):
        if node.op_type == "HardSwish":
            (x,), place, gate = node.input, list(model.graph.node).index(node), f"{node.output[0]}_gate"
            model.graph.node.remove(node)
            model.graph.node.insert(place, helper.make_node("HardSigmoid", [x], [gate], **_SLOPE))
            model.graph.node.insert(place + 1, helper.make_node("Mul", [x, gate], node.output))
