"""Answer prepared inputs in LiteRT or onnxruntime, on a processor with nothing but these and numpy.

`python answers.py MODEL FEEDS.npy OUT.npy` reads inputs (n, ...) and writes the raw outputs of n rows. A line of JSON
on stdout says what answered.
"""

import ctypes
import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_HWCAP = 16  # Linux, include/uapi/linux/auxvec.h
ASIMDDP = 1 << 20  # Linux, arch/arm64/include/uapi/asm/hwcap.h: there are the instructions SDOT and UDOT


def main(arguments: Sequence[str]) -> None:
    """Answer the inputs by the model, and say what answered."""
    model, feeds, out = map(Path, arguments)
    is_onnx = model.suffix == ".onnx"
    np.save(out, (in_onnxruntime if is_onnx else in_litert)(model, np.load(feeds)))
    runtime = "onnxruntime" if is_onnx else "ai-edge-litert"
    has_dotprod = platform.machine() == "aarch64" and bool(capabilities() & ASIMDDP)
    said = {"machine": platform.machine(), "has_dotprod": has_dotprod, "runtime": runtime, "version": version(runtime)}
    sys.stdout.write(json.dumps(said) + "\n")


def in_litert(model: Path, feeds: NDArray[Any]) -> NDArray[Any]:
    """Raw outputs in LiteRT with the delegate that it takes by itself.

    Raises `RuntimeError` unless that takes the network as one part.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    parts = sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    if parts != 1:
        raise RuntimeError(f"{model.name}: XNNPACK took {parts} parts, not one")
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for feed in feeds:
        interpreter.set_tensor(source["index"], feed[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    return np.stack(outputs)


def in_onnxruntime(model: Path, feeds: NDArray[Any]) -> NDArray[Any]:
    """Raw outputs in onnxruntime, with exact sums where this processor's kernels would cut them (decision 0014)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")  # ARM's kernels cut none, and do not look
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return np.concatenate([session.run(None, {source.name: feed[None]})[0] for feed in feeds])


def capabilities() -> int:
    """What Linux says that the processor can do, as bits."""
    ask = ctypes.CDLL(None).getauxval
    ask.restype, ask.argtypes = ctypes.c_ulong, (ctypes.c_ulong,)
    return int(ask(AT_HWCAP))


if __name__ == "__main__":
    main(sys.argv[1:])
