"""Run .tflite files in the LiteRT interpreter, and read what they hold."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision, TensorSpec, for_bytes
from mbexport.calibration.affine import Affine
from mbexport.errors import DataError
from mbexport.formats.runner import FLOAT, ConvLayer, Runner, first_line
from mbexport.formats.tflite.paths import KERNEL_PATHS

_DEPTHWISE: Final = "DEPTHWISE_CONV_2D"
_IMAGE_CONVOLUTIONS: Final = frozenset({"CONV_2D", _DEPTHWISE})
_CONVOLUTIONS: Final = _IMAGE_CONVOLUTIONS | {"FULLY_CONNECTED"}
_PASSED_OVER: Final = frozenset({"QUANTIZE", "DEQUANTIZE", "RESHAPE", "CAST", "SQUEEZE", "TRANSPOSE"})
# LiteRT's own names for its kernels.
_RESOLVERS: Final = dict(zip(KERNEL_PATHS, ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"), strict=True))


class TfliteRunner(Runner):
    """A .tflite file in the LiteRT interpreter: with the delegate it takes by itself, or the kernels of `path_name`."""

    runtime = "litert"

    def __init__(self, path: Path, *, threads: int = 1, path_name: str = KERNEL_PATHS[0]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        try:
            self._interpreter = Interpreter(
                model_path=str(path),
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType[_RESOLVERS[path_name]],
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DataError(f"{path} is not a .tflite file that can be loaded: {first_line(error)}") from None
        self.precision = self._precision()
        sources, targets = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(sources) != 1:
            raise DataError(f"{path}: expected one input, which takes images, got {len(sources)}")
        self._source, self._targets = sources[0]["index"], [target["index"] for target in targets]
        source = _with_open_sides(_tflite_tensor(sources[0]), sources[0]["shape_signature"])
        if source.dtype == FLOAT:
            source = self._with_entry_quantization(source)
        super().__init__(path, source, *map(_tflite_tensor, targets))

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        self._interpreter.set_tensor(self._source, feed)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(target) for target in self._targets]

    def metadata(self) -> dict[str, str]:
        from mbexport.formats.tflite.metadata import metadata_of

        names = self._interpreter.get_signature_list()
        signatures = {
            f"signature {name}": f"{', '.join(ends['inputs'])} -> {', '.join(ends['outputs'])}"
            for name, ends in names.items()
        }
        return signatures | metadata_of(self.path.read_bytes())

    def ending(self) -> str:
        wanted = self._targets[0]
        for op in reversed(self._network_ops()):
            if wanted in op["outputs"]:
                if op["op_name"] not in _PASSED_OVER:
                    return str(op["op_name"])
                wanted = op["inputs"][0]
        return ""

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        shapes = {tensor["index"]: tensor["shape"] for tensor in self._interpreter.get_tensor_details()}
        return tuple(
            ConvLayer(channels=int(shapes[op["outputs"][0]][-1]), is_depthwise=op["op_name"] == _DEPTHWISE)
            for op in self._network_ops()
            if op["op_name"] in _IMAGE_CONVOLUTIONS
        )

    def op_details(self) -> list[dict[str, Any]]:
        """LiteRT's own list of ops: names, tensors and types; those that a delegate took, and its own, among them."""
        details: list[dict[str, Any]] = self._interpreter._get_ops_details()
        return details

    def _network_ops(self) -> list[dict[str, Any]]:
        """The ops of the file, without those that the runtime puts in the place of what a delegate took."""
        return [op for op in self.op_details() if op["op_name"] != "DELEGATE"]

    def _precision(self) -> Precision:
        tensors = self._interpreter.get_tensor_details()
        has_integers = any(
            tensor["dtype"] in (np.int8, np.uint8) and len(tensor["shape"]) == 4 and tensor["shape"][0] > 1
            for tensor in tensors
        )
        activations = {
            tuple(np.dtype(kind).name for kind in op["operand_types"][:2])
            for op in self.op_details()
            if op["op_name"] in _CONVOLUTIONS
        }
        if any(given == "int16" for given, _ in activations):
            return Precision.INT16X8
        if has_integers:
            # Integer weights that a convolution of floats takes as they are, not behind a DEQUANTIZE.
            is_hybrid = any(types == (FLOAT, "int8") for types in activations)
            return Precision.DYNAMIC if is_hybrid else Precision.INT8
        is_half = any(tensor["dtype"] == np.float16 for tensor in tensors)
        return Precision.FP16 if is_half else Precision.FP32

    def _with_entry_quantization(self, source: TensorSpec) -> TensorSpec:
        details = {tensor["index"]: tensor for tensor in self._interpreter.get_tensor_details()}
        for op in self._interpreter._get_ops_details():
            if op["op_name"] == "QUANTIZE" and self._source in op["inputs"]:
                return replace(source, affine=for_bytes(_tflite_tensor(details[op["outputs"][0]])))
        return source


def _with_open_sides(source: TensorSpec, signature: NDArray[np.int32]) -> TensorSpec:
    """The input with -1 for each side that the file leaves open, for which LiteRT itself takes 1; any batch is 1."""
    if len(signature) != len(source.shape):  # the file has none
        return source
    sides = zip(source.shape[1:], signature[1:].tolist(), strict=True)
    return replace(source, shape=(*source.shape[:1], *(-1 if open_size == -1 else size for size, open_size in sides)))


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
