"""Check the structure of a .tflite file before LiteRT sees it, which trusts indices, scales and sizes.

Constants are named as the published schema names them (tensorflow/lite/schema/schema.fbs).
"""

import math
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

from mbexport.errors import DataError
from mbexport.formats.tflite.file import op_names, opened

_VERSION: Final = 3
_NONE: Final = -1  # the index of an optional input that is not given
_MAX_TENSOR_BYTES: Final = 1 << 30
_KIND: Final = schema.TensorType
_NAMES: Final = {code: name for name, code in vars(_KIND).items() if isinstance(code, int)}
# How many bits an element takes; those of other types have no fixed size.
_BITS: Final[Mapping[int, int]] = MappingProxyType(
    {
        **dict.fromkeys((_KIND.INT2,), 2),
        **dict.fromkeys((_KIND.INT4, _KIND.UINT4), 4),
        **dict.fromkeys((_KIND.BOOL, _KIND.INT8, _KIND.UINT8, _KIND.FLOAT8_E4M3FN, _KIND.FLOAT8_E5M2), 8),
        **dict.fromkeys((_KIND.INT16, _KIND.UINT16, _KIND.FLOAT16, _KIND.BFLOAT16), 16),
        **dict.fromkeys((_KIND.INT32, _KIND.UINT32, _KIND.FLOAT32), 32),
        **dict.fromkeys((_KIND.INT64, _KIND.UINT64, _KIND.FLOAT64, _KIND.COMPLEX64), 64),
        _KIND.COMPLEX128: 128,
    }
)
# The types of codes, whose scales are divided by, and the codes that they have.
_CODES: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {
        _KIND.UINT8: (0, 255),
        _KIND.INT8: (-128, 127),
        _KIND.INT16: (-(1 << 15), (1 << 15) - 1),
        _KIND.INT4: (-8, 7),
        _KIND.INT2: (-2, 1),
    }
)
# What kernels divide by, and the options without which these would be 0.
_DIVISORS: Final = ("strideW", "strideH", "strideD", "dilationWFactor", "dilationHFactor", "dilationDFactor")
_WINDOW: Final = ("filterWidth", "filterHeight")
_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CONV_2D": "Conv2DOptionsT",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptionsT",
        "CONV_3D": "Conv3DOptionsT",
        "TRANSPOSE_CONV": "TransposeConvOptionsT",
        **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "Pool2DOptionsT"),
    }
)
# What the generated classes raise where bytes are not what their offsets say.
_DAMAGE: Final = (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError)


def require_sound(content: bytes) -> None:
    """Raise `DataError`, in one line that names no file, unless the whole structure of a .tflite file holds together.

    Indices are in range, constants as long as their shapes say, scales finite and positive, and every tensor is there
    before an op takes it.
    """
    try:
        model = opened(content)
        _require_model(model, size_bytes=len(content))
    except _DAMAGE as error:
        raise DataError(f"it is damaged: {error}") from None


def _require_model(model: Any, *, size_bytes: int) -> None:
    if model.version != _VERSION:
        raise DataError(f"its version must be {_VERSION}, got {model.version}")
    if not model.subgraphs:
        raise DataError("it must hold a network, got none")
    if model.externalBufferGroups or model.externalBuffers:
        raise DataError("it keeps weights in other files: they must lie in the file itself")
    buffers = model.buffers or []
    for index, buffer in enumerate(buffers):
        if buffer.offset and not buffer.offset + buffer.size <= size_bytes:
            raise DataError(
                f"buffer {index} must end within {size_bytes} bytes, got byte {buffer.offset + buffer.size}"
            )
    names = op_names(model)
    for number, graph in enumerate(model.subgraphs):
        _Graph(graph, buffers, where="" if number == 0 else f"subgraph {number}: ").require_sound(names)
        for op in graph.operators or []:
            _require_subgraphs(op, len(model.subgraphs))
    _require_ends(model, len(buffers))


def _require_ends(model: Any, buffers: int) -> None:
    """Checks what points into the networks from outside: signatures and metadata."""
    for signature in model.signatureDefs or []:
        _require_index("the network of a signature", signature.subgraphIndex, len(model.subgraphs))
        tensors = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        for end in (*(signature.inputs or []), *(signature.outputs or [])):
            _require_index("the tensor of a signature", end.tensorIndex, tensors)
    for entry in model.metadata or []:
        _require_index("the buffer of a metadata entry", entry.buffer, buffers)


def _require_subgraphs(op: Any, graphs: int) -> None:
    for options in (op.builtinOptions, op.builtinOptions2):
        for name, value in vars(options).items() if options is not None else ():
            if name.endswith("SubgraphIndex") or name == "subgraph":
                _require_index(f"its {name}", value, graphs)


class _Graph:
    """One network of a file, with the buffers of all; `where` begins its errors."""

    def __init__(self, graph: Any, buffers: list[Any], *, where: str) -> None:
        self._graph, self._buffers, self._where = graph, buffers, where
        self._tensors: list[Any] = list(graph.tensors or [])

    def require_sound(self, names: list[str]) -> None:
        """Raise `DataError` unless tensors and ops hold together; `names` are those of the file's op codes."""
        for index, tensor in enumerate(self._tensors):
            try:
                self._require_tensor(tensor)
            except DataError as error:
                raise DataError(f"{self._where}tensor {index} ({_text(tensor.name)}): {error}") from None
        for end in (*_indices(self._graph.inputs), *_indices(self._graph.outputs)):
            _require_index(f"{self._where}an input or output", end, len(self._tensors))
        there = {*_indices(self._graph.inputs), *self._given()}
        for place, op in enumerate(self._graph.operators or []):
            _require_index(f"{self._where}the code of op {place}", op.opcodeIndex, len(names))
            name = names[op.opcodeIndex]
            try:
                self._require_op(op, name, there)
            except DataError as error:
                raise DataError(f"{self._where}op {place} ({name}): {error}") from None
            there.update(_indices(op.outputs))
        for end in _indices(self._graph.outputs):
            if end not in there:
                raise DataError(f"{self._where}its output, tensor {end}, must be made by an op, got none")

    def _require_tensor(self, tensor: Any) -> None:
        _require_index("its buffer", tensor.buffer, len(self._buffers))
        if tensor.type not in _NAMES:
            raise DataError(f"its type must be known, got number {tensor.type}")
        shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
        if any(size < 0 for size in shape):
            raise DataError(f"its shape must have no negative side, got {shape}")
        size_bytes = -(-math.prod(shape) * _BITS.get(tensor.type, 0) // 8)
        if size_bytes > _MAX_TENSOR_BYTES:
            raise DataError(f"it must take at most {_MAX_TENSOR_BYTES} bytes, got {size_bytes} of shape {shape}")
        stored = self._stored_bytes(tensor)
        if stored and tensor.type in _BITS and tensor.sparsity is None and stored != size_bytes:
            raise DataError(f"its data must take {size_bytes} bytes for the shape {shape}, got {stored}")
        if tensor.quantization is not None:
            _require_quantization(tensor, shape)

    def _stored_bytes(self, tensor: Any) -> int:
        """The bytes of a constant; 0 for a tensor that is computed."""
        buffer = self._buffers[tensor.buffer]
        if buffer.offset:
            return int(buffer.size)
        return 0 if buffer.data is None else len(buffer.data)

    def _given(self) -> Iterator[int]:
        """The tensors that no op makes: constants, variables, and those that hold nothing."""
        for index, tensor in enumerate(self._tensors):
            is_empty = tensor.shape is not None and 0 in list(tensor.shape)
            if is_empty or tensor.isVariable or self._stored_bytes(tensor):
                yield index

    def _require_op(self, op: Any, name: str, there: Collection[int]) -> None:
        count = len(self._tensors)
        for tensor in _indices(op.inputs):
            if tensor == _NONE:
                continue
            _require_index("its input", tensor, count)
            if tensor not in there:
                raise DataError(f"its input, tensor {tensor}, must be there before it, got none that makes it")
        for tensor in _indices(op.outputs):
            _require_index("its output", tensor, count)
            if self._stored_bytes(self._tensors[tensor]):
                raise DataError(f"its output, tensor {tensor}, must be no constant")
        for tensor in _indices(op.intermediates):
            if tensor != _NONE:
                _require_index("its intermediate tensor", tensor, count)
        _require_options(op.builtinOptions, name)


def _require_options(options: Any, name: str) -> None:
    expected = _OPTIONS.get(name)
    if expected is not None and type(options).__name__ != expected:
        raise DataError(f"it must have {expected.removesuffix('T')}, got {type(options).__name__.removesuffix('T')}")
    for field in (*_DIVISORS, *_WINDOW):
        value = getattr(options, field, 1)
        if value < 1:
            raise DataError(f"its {field} must be at least 1, got {value}")


def _require_quantization(tensor: Any, shape: list[int]) -> None:
    quantization = tensor.quantization
    scales = [] if quantization.scale is None else [float(scale) for scale in quantization.scale]
    zero_points = [] if quantization.zeroPoint is None else [int(point) for point in quantization.zeroPoint]
    if not scales or tensor.type not in (*_CODES, _KIND.INT32):
        return
    if len(scales) > 1:
        axis = quantization.quantizedDimension
        _require_index("the axis of its scales", axis, len(shape))
        if len(scales) != shape[axis]:
            raise DataError(f"it must have a scale for each of {shape[axis]} channels, got {len(scales)}")
    if len(zero_points) not in (0, 1, len(scales)):
        raise DataError(f"it must have a zero point for each of {len(scales)} scales, got {len(zero_points)}")
    if tensor.type == _KIND.INT32:  # sums: their scale is a product of two, and is not divided by
        _require_all(scales, lambda scale: 0 <= scale < math.inf, "its scales must be finite and not negative")
        return
    _require_all(scales, lambda scale: 0 < scale < math.inf, "its scales must be finite and positive")
    low, high = _CODES[tensor.type]
    _require_all(zero_points, lambda point: low <= point <= high, f"its zero points must be from {low} to {high}")


def _require_all(values: Iterable[Any], is_legal: Any, sentence: str) -> None:
    for value in values:
        if not is_legal(value):
            raise DataError(f"{sentence}, got {value:g}")


def _require_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise DataError(f"{what} must be one of {count}, got number {index}")


def _indices(numbers: Any) -> list[int]:
    return [] if numbers is None else [int(number) for number in numbers]


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")
