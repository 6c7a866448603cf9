"""Turns a number of threads into onnxruntime's options, exact on this processor too."""

from functools import cache
from typing import Any, Final

import numpy as np

_LARGEST_CODE: Final = 255
_LARGEST_WEIGHT: Final = 127
_TERMS: Final = 16  # of one sum: four times what one instruction adds up
# onnxruntime_session_options_config_keys.h: kOrtSessionOptionsAvx2PrecisionMode, since version 1.12.
_EXACT: Final = "session.x64quantprecision"
_OPSET, _IR_VERSION = 17, 8


def session_options(threads: int = 1) -> Any:
    """onnxruntime's options for every session that this package opens.

    Sums are exact: where this processor's kernels cut them, others are asked for (decision 0014). These are slower,
    and asked for nowhere else.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # what is classified here is nobody else's business
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its pool would spin on after a run, on a core that whatever is timed next needs; LiteRT's does not.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if cuts_sums():
        options.add_session_config_entry(_EXACT, "1")
    return options


@cache
def cuts_sums() -> bool:
    """Whether onnxruntime's kernels for uint8 activations and int8 weights lose what does not fit into 16 bits.

    They do on x86 without VNNI: 255 * 127 + 255 * 127 is cut to 32767. One product of the largest codes tells.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_largest_sum(), options, providers=["CPUExecutionProvider"])
    (total,) = session.run(None, {"codes": np.full((1, _TERMS), _LARGEST_CODE, np.uint8)})
    return bool((total != _TERMS * _LARGEST_CODE * _LARGEST_WEIGHT).any())


def _largest_sum() -> bytes:
    """codes (1, 16) uint8 times the largest weights (16, 16) int8: sums (1, 16) int32."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.full((_TERMS, _TERMS), _LARGEST_WEIGHT, np.int8), "weights")
    source = helper.make_tensor_value_info("codes", TensorProto.UINT8, (1, _TERMS))
    target = helper.make_tensor_value_info("sums", TensorProto.INT32, (1, _TERMS))
    product = helper.make_node("MatMulInteger", ["codes", "weights"], ["sums"])
    graph = helper.make_graph([product], "sums", [source], [target], [weights])
    opset = helper.make_opsetid("", _OPSET)
    content: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION).SerializeToString()
    return content
