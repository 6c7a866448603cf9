"""Run .onnx files in onnxruntime on the CPU, and read what their graphs hold."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision, TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.documents import parse_json
from mbexport.errors import DataError, OptionError
from mbexport.formats.onnx.paths import KERNEL_PATHS
from mbexport.formats.runner import FLOAT, ConvLayer, Runner, first_line

_LARGEST_CODE: Final = 255
_LARGEST_WEIGHT: Final = 127
_TERMS: Final = 16  # of one sum: four times what one instruction adds up
# onnxruntime_session_options_config_keys.h: kOrtSessionOptionsAvx2PrecisionMode, since version 1.12.
_EXACT: Final = "session.x64quantprecision"
_OPSET, _IR_VERSION = 17, 8
_MOVERS: Final = frozenset({"Transpose", "Reshape"})
_PASSED_OVER: Final = _MOVERS | {
    *("QuantizeLinear", "DequantizeLinear", "Cast", "Squeeze", "Unsqueeze", "Flatten", "Identity")
}
_WEIGHTS: Final = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}  # the place of the weights among the inputs
_QUANTIZING: Final = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv"})
_MOST_SHOWN: Final = 40  # characters of what cannot be read
_LEFT_OUT: Final = ""  # how ONNX names an input that is not given
# Whether onnxruntime rewrites the graph, by its own names.
_LEVELS: Final = dict(zip(KERNEL_PATHS, ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL"), strict=True))


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


class OnnxRunner(Runner):
    """An .onnx file in onnxruntime on the CPU: with its full graph optimization, or as `path_name` says."""

    runtime = "onnxruntime"

    def __init__(self, path: Path, *, threads: int = 1, path_name: str = KERNEL_PATHS[0]) -> None:
        import onnxruntime

        options = session_options(threads)
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[path_name])
        try:
            self._session = self._opened(path, options)
        except DataError:
            raise
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} is not an .onnx file that can be loaded: {first_line(error)}") from None
        sources, targets = self._session.get_inputs(), self._session.get_outputs()
        if len(sources) != 1:
            raise DataError(f"{path}: expected one input, which takes images, got {len(sources)}")
        import onnx

        graph = onnx.load(str(path)).graph
        stored = {tensor.data_type for tensor in graph.initializer if len(tensor.dims) == 4}
        if stored & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}:
            self.precision = Precision.INT8
        else:
            self.precision = Precision.FP16 if onnx.TensorProto.FLOAT16 in stored else Precision.FP32
        self._ending, self._conv_layers = _ending(graph), _conv_layers(graph)
        try:
            quantizations = _onnx_edge_quantizations(graph)
        except OptionError as error:
            raise DataError(f"{path}: {error}") from None
        super().__init__(path, *(_onnx_tensor(value, quantizations) for value in (sources[0], *targets)))

    def _opened(self, path: Path, options: Any) -> Any:
        """The session, by the providers of this runner."""
        import onnxruntime

        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, {self.input.name: feed})
        return outputs

    def ending(self) -> str:
        return self._ending

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        return self._conv_layers

    def metadata(self) -> dict[str, str]:
        meta = self._session.get_modelmeta()
        return {"producer": meta.producer_name, **dict(sorted(meta.custom_metadata_map.items()))}


def _onnx_edge_quantizations(graph: Any) -> dict[str, tuple[Affine, str]]:
    """For each tensor that is quantized or holds codes: its map and code type, through layout changes too."""
    constants = _constants(graph)
    found: dict[str, tuple[Affine, str]] = {}
    for tensor, scale_name, zero_point_name in (named for node in graph.node for named in _quantized(node)):
        scale, zero_point = constants.get(scale_name), constants.get(zero_point_name)
        if scale is None or zero_point is None or scale.size != 1:
            continue
        affine = Affine(scale=(scale.item(),), zero_point=(zero_point.item(),))
        found[tensor] = (affine, zero_point.dtype.name)
    movers = [node for node in graph.node if node.op_type in _MOVERS]
    for node in movers:  # towards the output
        if node.input[0] in found:
            found.setdefault(node.output[0], found[node.input[0]])
    for node in reversed(movers):  # towards the input
        if node.output[0] in found:
            found.setdefault(node.input[0], found[node.output[0]])
    return found


def _constants(graph: Any) -> dict[str, NDArray[Any]]:
    """The arrays that are known before any image, by name; that of an input left out is a zero point of bytes."""
    from onnx import numpy_helper

    values = {
        node.output[0]: attribute.t
        for node in graph.node
        for attribute in node.attribute
        if node.op_type == "Constant" and attribute.name == "value"
    }
    values |= {tensor.name: tensor for tensor in graph.initializer}
    return {_LEFT_OUT: np.zeros((), np.uint8)} | {
        name: numpy_helper.to_array(tensor) for name, tensor in values.items() if len(tensor.dims) <= 1
    }


def _quantized(node: Any) -> list[tuple[str, str, str]]:
    """The names of tensors that are codes, or become such, at this op; of their scales; of their zero points."""
    if node.op_type not in _QUANTIZING:
        return []
    names = [*node.input, _LEFT_OUT]
    found = [(names[0], names[1], names[2])]
    if node.op_type == "QuantizeLinear":
        found.append((node.output[0], names[1], names[2]))
    if node.op_type == "QLinearConv":
        found.append((node.output[0], names[6], names[7]))
    return found


def _ending(graph: Any) -> str:
    """The op that makes the first output, behind what only moves or converts it."""
    wanted = graph.output[0].name
    for node in reversed(graph.node):
        if wanted in node.output:
            if node.op_type not in _PASSED_OVER:
                return str(node.op_type)
            wanted = node.input[0]
    return ""


def _conv_layers(graph: Any) -> tuple[ConvLayer, ...]:
    """The convolutions whose weights lie in the file, (filters, channels of one group, height, width)."""
    makers = {name: node for node in graph.node for name in node.output}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type not in _WEIGHTS:
            continue
        name = node.input[_WEIGHTS[node.op_type]]
        while name not in shapes and name in makers and makers[name].op_type in _PASSED_OVER:
            name = makers[name].input[0]
        filters, depth = shapes.get(name, (0, 0))[:2]
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        found.append(ConvLayer(channels=filters, is_depthwise=depth == 1 and 1 < groups == filters))
    return tuple(found)


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


def labels_property(text: str | None) -> tuple[str, ...] | None:
    """The labels in an .onnx file's metadata property; None where it is absent.

    Raises `DataError`, in a line that names no file, for a property that is no list of texts.
    """
    if not text:
        return None if text is None else ()
    try:
        values = parse_json(text)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DataError(f"its labels must be a list of texts, got {text[:_MOST_SHOWN]!r}")
    return tuple(values)
