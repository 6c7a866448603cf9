"""The ops that onnxruntime executes for an .onnx file, by its own record of one run."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share
from mbexport.formats.kernels import Kernels, kernel_rows
from mbexport.formats.onnx.runner import session_options
from mbexport.formats.runner import Runner


def onnx_kernels(runner: Runner) -> Kernels:
    """The kernels of the optimized graph. Raises `DataError` for a file that loads but cannot be run."""
    import onnxruntime

    feed = np.zeros(runner.input.shape, np.dtype(runner.input.dtype))
    with tempfile.TemporaryDirectory() as folder:
        options = session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "run")
        session = onnxruntime.InferenceSession(str(runner.path), options, providers=["CPUExecutionProvider"])
        try:
            session.run(None, {runner.input.name: feed})
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{runner.path} loads, but fails when it runs: {error}") from None
        finally:
            record = Path(session.end_profiling())
        try:
            events = json.loads(record.read_text("utf-8"))
        except ValueError:  # it writes names as they are
            raise DataError(f"{runner.path} has names that onnxruntime's own record of a run cannot hold") from None
    nodes = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return Kernels(
        rows=kernel_rows(
            (
                node["op_name"],
                _types(node["input_type_shape"]),
                next(iter(_types(node["output_type_shape"])), "none"),
                node["provider"],
            )
            for node in nodes
        )
    )


def unoptimized_share(runner: Runner) -> Share:
    """The nodes of the file as they are, all of which onnxruntime executes."""
    import onnx

    total = len(onnx.load(str(runner.path)).graph.node)
    return Share(taken=total, total=total)


def _types(tensors: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The types of the tensors in onnxruntime's record, [{"uint8": [1, 3, 8, 8]}, {}, ...]: {} is one left out."""
    return tuple("float32" if kind == "float" else kind for tensor in tensors for kind in tensor)
