"""Turns a loaded artifact into the count of convolutions that really run in integers, and of those that do not."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.onnx_runner import OnnxRunner
from mbexport.runner import Runner
from mbexport.tflite_runner import CONVOLUTIONS, TfliteRunner

# Names of convolution kernels in an optimized onnxruntime graph: the ones with Q take and give integers.
_ONNX_INTEGER: Final = frozenset({"QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul"})
_ONNX_FLOAT: Final = frozenset({"Conv", "FusedConv", "NhwcFusedConv", "Gemm", "MatMul", "FusedMatMul", "FusedGemm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """How many convolutions and matrix products run in integers and in floats, and every op with its count."""

    int8_convs: int
    float_convs: int
    ops: tuple[tuple[str, int], ...]


def kernels_of(runner: Runner) -> Kernels:
    """The kernels of what the runtime executes: onnxruntime's graph after its own optimization, LiteRT's op list."""
    if isinstance(runner, TfliteRunner):
        return _tflite_kernels(runner)
    if isinstance(runner, OnnxRunner):
        return _onnx_kernels(runner.path)
    raise DataError(f"no kernels are known for {runner.runtime}")


def _tflite_kernels(runner: TfliteRunner) -> Kernels:
    ops = runner.ops()
    convolutions = [types[:2] for name, types in ops if name in CONVOLUTIONS]
    # LiteRT computes in integers where both the activations and the weights are integers.
    integer = sum(all(kind in ("int8", "uint8") for kind in types) for types in convolutions)
    return Kernels(int8_convs=integer, float_convs=len(convolutions) - integer, ops=_counted(name for name, _ in ops))


def _onnx_kernels(path: Path) -> Kernels:
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        # Written for this look only: the optimized file fits this machine and must never be shipped.
        optimized = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(optimized)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [node.op_type for node in onnx.load(str(optimized)).graph.node]
    return Kernels(
        int8_convs=sum(name in _ONNX_INTEGER for name in names),
        float_convs=sum(name in _ONNX_FLOAT for name in names),
        ops=_counted(names),
    )


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(names).items()))
