"""Turns an artifact into something that classifies: the LiteRT interpreter and onnxruntime behind one Runner."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Format, TensorSpec
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.models.preprocess import Pixels, Preprocess

_BYTE_OFFSET: Final = 128  # an int8 code is the byte minus this
_FLOAT: Final = "float32"


class Runner(ABC):
    """One artifact, loaded. Its input takes one image; `name` is the file's name, `runtime` who executes it.

    `has_integer_weights` says whether the file stores weights as integers, whatever its kernels then compute with.
    """

    runtime: str
    has_integer_weights: bool

    def __init__(self, path: Path, source: TensorSpec, target: TensorSpec) -> None:
        self.path, self.name = path, path.name
        self.input, self.output = source, target
        sides = source.shape[1:3]
        is_image = len(source.shape) == 4 and source.shape[0] == 1 and source.shape[3] in (1, 3)
        if not is_image or sides[0] != sides[1] or sides[0] < 1:
            raise DataError(f"{path}: the input must have shape (1, px, px, 3) or (1, px, px, 1), got {source.shape}")
        if len(target.shape) != 2 or target.shape[0] != 1:
            raise DataError(f"{path}: the output must have shape (1, classes), got {target.shape}")

    @property
    def resolution_px(self) -> int:
        """The side of the square input."""
        return self.input.shape[1]

    @property
    def channels(self) -> int:
        """3, or 1 for grey images."""
        return self.input.shape[3]

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.output.shape[1]

    @abstractmethod
    def metadata(self) -> dict[str, str]:
        """What the file says of itself in words, by name."""

    def invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The raw output (1, classes) for one prepared input (1, px, px, channels).

        Raises `DataError` for an artifact that loads but cannot be run.
        """
        try:
            return self._invoke(feed)
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{self.path} loads, but fails when it runs: {_first_line(error)}") from None

    @abstractmethod
    def _invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        """The same, with the runtime's own exceptions."""

    def prepare(self, pixels: Pixels, preprocess: Preprocess) -> NDArray[Any]:
        """The input tensors for uint8 images (n, px, px, channels): the bytes, or what a float input expects.

        A float input that the file quantizes first thing gets the numbers its codes stand for, so that every
        integer artifact computes from exactly the same bytes.
        """
        if self.input.dtype == "uint8":
            return pixels
        if self.input.dtype == "int8":
            return (pixels.astype(np.int16) - _BYTE_OFFSET).astype(np.int8)
        if self.input.dtype == _FLOAT:
            affine = self.input.affine
            return affine.dequantize(pixels) if affine else preprocess.normalize(pixels)
        raise DataError(f"{self.path}: the input must be uint8, int8 or float32, got {self.input.dtype}")

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw outputs (n, classes) as real numbers."""
        return self.output.affine.dequantize(raw) if self.output.affine else raw.astype(np.float32)


class TfliteRunner(Runner):
    """A .tflite file in the LiteRT interpreter, with the delegate it takes by itself (XNNPACK)."""

    runtime = "litert"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DataError(f"{path} is not a .tflite file that can be loaded: {_first_line(error)}") from None
        self.has_integer_weights = any(
            tensor["dtype"] in (np.int8, np.uint8) and len(tensor["shape"]) == 4 and tensor["shape"][0] > 1
            for tensor in self._interpreter.get_tensor_details()
        )
        sources, targets = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(sources) != 1 or len(targets) != 1:
            raise DataError(f"{path}: expected one input and one output, got {len(sources)} and {len(targets)}")
        self._source, self._target = sources[0]["index"], targets[0]["index"]
        source = _tflite_tensor(sources[0])
        if source.dtype == _FLOAT:
            source = self._with_entry_quantization(source)
        super().__init__(path, source, _tflite_tensor(targets[0]))

    def _invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        self._interpreter.set_tensor(self._source, feed)
        self._interpreter.invoke()
        output: NDArray[Any] = self._interpreter.get_tensor(self._target)
        return output

    def metadata(self) -> dict[str, str]:
        names = self._interpreter.get_signature_list()
        return {
            f"signature {name}": f"{', '.join(ends['inputs'])} -> {', '.join(ends['outputs'])}"
            for name, ends in names.items()
        }

    def ops(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each op of the file with the types of its inputs, delegates excluded."""
        types = {tensor["index"]: np.dtype(tensor["dtype"]).name for tensor in self._interpreter.get_tensor_details()}
        return [
            (op["op_name"], tuple(types.get(index, "none") for index in op["inputs"]))
            for op in self._interpreter._get_ops_details()
            if op["op_name"] != "DELEGATE"
        ]

    def _with_entry_quantization(self, source: TensorSpec) -> TensorSpec:
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        for op in self._interpreter._get_ops_details():
            if op["op_name"] == "QUANTIZE" and self._source in op["inputs"]:
                codes = _tflite_tensor(details[op["outputs"][0]])
                return _for_bytes(source, codes)
        return source


class OnnxRunner(Runner):
    """An .onnx file in onnxruntime on the CPU, with its full graph optimization."""

    runtime = "onnxruntime"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise DataError(f"{path} is not an .onnx file that can be loaded: {_first_line(error)}") from None
        sources, targets = self._session.get_inputs(), self._session.get_outputs()
        if len(sources) != 1 or len(targets) != 1:
            raise DataError(f"{path}: expected one input and one output, got {len(sources)} and {len(targets)}")
        import onnx

        graph = onnx.load(str(path)).graph
        self.has_integer_weights = any(
            tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) and len(tensor.dims) == 4
            for tensor in graph.initializer
        )
        quantizations = _onnx_edge_quantizations(graph)
        super().__init__(path, *(_onnx_tensor(value, quantizations) for value in (sources[0], targets[0])))

    def _invoke(self, feed: NDArray[Any]) -> NDArray[Any]:
        output: NDArray[Any] = self._session.run([self.output.name], {self.input.name: feed})[0]
        return output

    def metadata(self) -> dict[str, str]:
        meta = self._session.get_modelmeta()
        return {"producer": meta.producer_name, **meta.custom_metadata_map}


RUNNERS: Final[Mapping[Format, type[TfliteRunner] | type[OnnxRunner]]] = MappingProxyType(
    {Format.TFLITE: TfliteRunner, Format.ONNX: OnnxRunner}
)


def format_of(path: Path) -> Format:
    """The format that the file's name ends in. Raises `DataError` for another ending or a missing file."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in {file_format.value for file_format in Format}:
        raise DataError(f"an artifact must end in .tflite or .onnx, got {path}")
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    return Format(suffix)


def open_runner(path: Path, *, threads: int = 1) -> Runner:
    """The artifact at `path`, loaded with `threads` threads. Raises `DataError` if it cannot be."""
    return RUNNERS[format_of(path)](path, threads=threads)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tflite_tensor(details: dict[str, Any]) -> TensorSpec:
    parameters = details["quantization_parameters"]
    affine = None
    if len(parameters["scales"]) == 1 and parameters["scales"][0] > 0:
        affine = Affine(scale=(float(parameters["scales"][0]),), zero_point=(int(parameters["zero_points"][0]),))
    return TensorSpec(
        name=str(details["name"]),
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        affine=affine,
    )


def _for_bytes(source: TensorSpec, codes: TensorSpec) -> TensorSpec:
    """`source` with the quantization of `codes`, said for bytes 0..255."""
    if codes.affine is None:
        return source
    offset = _BYTE_OFFSET if codes.dtype == "int8" else 0
    affine = Affine(scale=codes.affine.scale, zero_point=(codes.affine.zero_point[0] + offset,))
    return TensorSpec(name=source.name, shape=source.shape, dtype=source.dtype, affine=affine)


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
    dtype = {"tensor(float)": _FLOAT, "tensor(uint8)": "uint8", "tensor(int8)": "int8"}.get(value.type, value.type)
    batch, *sizes = value.shape or [None]
    # An open batch will be one; any other open size is not known.
    shape = (batch if isinstance(batch, int) else 1, *(size if isinstance(size, int) else -1 for size in sizes))
    spec = TensorSpec(name=value.name, shape=shape, dtype=dtype)
    if value.name not in quantizations:
        return spec
    affine, codes = quantizations[value.name]
    if dtype == _FLOAT:
        return _for_bytes(spec, TensorSpec(name="", shape=shape, dtype=codes, affine=affine))
    return TensorSpec(name=value.name, shape=shape, dtype=dtype, affine=affine)
