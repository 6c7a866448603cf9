"""Turns an .onnx file into something that classifies: onnxruntime on the CPU."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mbexport.artifact import Precision, TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.runtimes.onnx_session import session_options
from mbexport.runtimes.runner import FLOAT, Runner, first_line


class OnnxRunner(Runner):
    """An .onnx file in onnxruntime on the CPU, with its full graph optimization."""

    runtime = "onnxruntime"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(
                str(path), session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} is not an .onnx file that can be loaded: {first_line(error)}") from None
        sources, targets = self._session.get_inputs(), self._session.get_outputs()
        if len(sources) != 1 or len(targets) != 1:
            raise DataError(f"{path}: expected one input and one output, got {len(sources)} and {len(targets)}")
        import onnx

        graph = onnx.load(str(path)).graph
        stored = {tensor.data_type for tensor in graph.initializer if len(tensor.dims) == 4}
        if stored & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}:
            self.precision = Precision.INT8
        else:
            self.precision = Precision.FP16 if onnx.TensorProto.FLOAT16 in stored else Precision.FP32
        quantizations = _onnx_edge_quantizations(graph)
        super().__init__(path, *(_onnx_tensor(value, quantizations) for value in (sources[0], targets[0])))

    def _invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[Any] = self._session.run([self.output.name], {self.input.name: feed})[0]
        return output

    def metadata(self) -> dict[str, str]:
        meta = self._session.get_modelmeta()
        return {"producer": meta.producer_name, **dict(sorted(meta.custom_metadata_map.items()))}


def _onnx_edge_quantizations(graph: Any) -> dict[str, tuple[Affine, str]]:
    """For each tensor that is quantized or holds codes: its map and code type, through layout changes too."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, tuple[Affine, str]] = {}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
            continue
        if any(name not in constants for name in node.input[1:3]):
            continue
        scale, zero_point = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
        if scale.size != 1:
            continue
        affine = Affine(scale=(scale.item(),), zero_point=(zero_point.item(),))
        names = (node.input[0], *(node.output if node.op_type == "QuantizeLinear" else ()))
        for name in names:
            found[name] = (affine, zero_point.dtype.name)
    movers = [node for node in graph.node if node.op_type in ("Transpose", "Reshape")]
    for node in movers:  # towards the output
        if node.input[0] in found:
            found.setdefault(node.output[0], found[node.input[0]])
    for node in reversed(movers):  # towards the input
        if node.output[0] in found:
            found.setdefault(node.input[0], found[node.output[0]])
    return found


def _onnx_tensor(value: Any, quantizations: dict[str, tuple[Affine, str]]) -> TensorSpec:
    dtype = {"tensor(float)": FLOAT, "tensor(uint8)": "uint8", "tensor(int8)": "int8"}.get(value.type, value.type)
    batch, *sizes = value.shape or [None]
    # An open batch will be one; any other open size is not known.
    shape = (batch if isinstance(batch, int) else 1, *(size if isinstance(size, int) else -1 for size in sizes))
    spec = TensorSpec(name=value.name, shape=shape, dtype=dtype)
    if value.name not in quantizations:
        return spec
    affine, codes = quantizations[value.name]
    if dtype == FLOAT:
        return replace(spec, affine=for_bytes(TensorSpec(name="", shape=shape, dtype=codes, affine=affine)))
    return TensorSpec(name=value.name, shape=shape, dtype=dtype, affine=affine)
