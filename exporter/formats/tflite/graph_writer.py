"""Add ops and constants to the network of a .tflite. Loads no TensorFlow."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mbexport.calibration.affine import Affine

CODE: Final = schema.BuiltinOperator
KIND: Final = schema.TensorType
_KINDS: Final = {"float32": KIND.FLOAT32, "int32": KIND.INT32}
# tensorflow/lite/tools/versioning/op_version.cc: by the type of the first input, 1 for all others.
_VERSIONS: Final = {
    (CODE.DEQUANTIZE, KIND.INT8): 2,
    (CODE.CONCATENATION, KIND.INT8): 2,
    (CODE.LOGISTIC, KIND.INT8): 2,
    (CODE.QUANTIZE, KIND.INT8): 2,
}


class GraphWriter:
    """Adds to the one network of a ModelT; a tensor is known by its index."""

    def __init__(self, model: Any) -> None:
        self._model = model
        (self._graph,) = model.subgraphs

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(int(size) for size in self._graph.tensors[tensor].shape)

    def is_float(self, tensor: int) -> bool:
        """Whether the tensor holds float32."""
        return bool(self._graph.tensors[tensor].type == KIND.FLOAT32)

    def affine_of(self, tensor: int) -> Affine:
        """What the codes of an integer tensor stand for."""
        found = self._graph.tensors[tensor].quantization
        return Affine(scale=(float(found.scale[0]),), zero_point=(int(found.zeroPoint[0]),))

    def op(
        self,
        code: int,
        inputs: Sequence[int],
        shape: Sequence[int],
        *,
        options: Any = None,
        kind: int = KIND.FLOAT32,
        affine: Affine | None = None,
    ) -> int:
        """The output of one of TFLite's own ops: of that `kind`, with the scale and zero point of `affine`."""
        op = self._op(inputs, [shape])
        op.opcodeIndex = self._opcode(code, _VERSIONS.get((code, self._graph.tensors[inputs[0]].type), 1), None)
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            op.builtinOptions, op.builtinOptionsType = options, getattr(schema.BuiltinOptions, name)
        tensor = self._graph.tensors[op.outputs[0]]
        tensor.type = kind
        if affine is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array(affine.scale, np.float32)
            tensor.quantization.zeroPoint = np.array(affine.zero_point, np.int64)
        return int(op.outputs[0])

    def float_like(self, tensor: int) -> int:
        """A float32 tensor of the shape of another, whose batch is open where that one's is."""
        made, given = self._tensor(self.shape_of(tensor)), self._graph.tensors[tensor]
        self._graph.tensors[made].shapeSignature = given.shapeSignature
        return made

    def dequantize(self, codes: int, real: int, *, before: Any) -> None:
        """Make the float tensor `real` of `codes`, for an op of the network that comes next."""
        self._convert(CODE.DEQUANTIZE, codes, real, place=self._place(before))

    def quantize(self, real: int, codes: int, *, behind: Any) -> None:
        """Make the tensor `codes` of the float tensor `real`, next to the op of the network that gives that."""
        self._convert(CODE.QUANTIZE, real, codes, place=self._place(behind) + 1)

    def custom(self, name: bytes, inputs: Sequence[int], shapes: Sequence[Sequence[int]], options: bytes) -> list[int]:
        """The float32 outputs of another op, with options of its own form."""
        op = self._op(inputs, shapes)
        op.opcodeIndex = self._opcode(CODE.CUSTOM, 1, name)
        op.customOptions = np.frombuffer(options, np.uint8)
        return [int(index) for index in op.outputs]

    def rows(self, tensor: int, width: int) -> int:
        """The tensor as (1, n, width), of the same type."""
        given = self._graph.tensors[tensor]
        shape = (1, int(np.prod(given.shape)) // width, width)
        affine = None if self.is_float(tensor) else self.affine_of(tensor)
        sizes = self.constant(np.array(shape, np.int32))
        return self.op(CODE.RESHAPE, [tensor, sizes], shape, kind=given.type, affine=affine)

    def joined(self, tensors: Sequence[int]) -> int:
        """Tensors (1, n_i, width) of one type, and of one scale if these are codes, as (1, n, width)."""
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        shapes = [self.shape_of(tensor) for tensor in tensors]
        shape = (1, sum(places for _, places, _ in shapes), shapes[0][-1])
        affine = None if self.is_float(tensors[0]) else self.affine_of(tensors[0])
        kind = self._graph.tensors[tensors[0]].type
        return self.op(CODE.CONCATENATION, tensors, shape, options=options, kind=kind, affine=affine)

    def constant(self, values: NDArray[Any]) -> int:
        """A tensor that holds `values`, float32 or int32."""
        return self._tensor(values.shape, kind=_KINDS[values.dtype.name], buffer=self._buffer(values))

    def store_floats(self, tensor: int, values: NDArray[np.float32]) -> None:
        """Put float32 `values` in the place of a constant's integers, of the same shape."""
        constant = self._graph.tensors[tensor]
        old, constant.buffer = constant.buffer, self._buffer(values)
        constant.type, constant.quantization = KIND.FLOAT32, None
        if all(each.buffer != old for each in self._graph.tensors):
            self._model.buffers[old].data = None

    def _buffer(self, values: NDArray[Any]) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return len(self._model.buffers) - 1

    def _place(self, op: Any) -> int:
        return next(place for place, each in enumerate(self._graph.operators) if each is op)

    def _convert(self, code: int, given: int, made: int, *, place: int) -> None:
        op = schema.OperatorT()
        op.inputs, op.outputs = np.array([given], np.int32), np.array([made], np.int32)
        op.opcodeIndex = self._opcode(code, _VERSIONS.get((code, self._graph.tensors[given].type), 1), None)
        self._graph.operators.insert(place, op)

    def _op(self, inputs: Sequence[int], shapes: Sequence[Sequence[int]]) -> Any:
        op = schema.OperatorT()
        op.inputs = np.array(inputs, np.int32)
        op.outputs = np.array([self._tensor(shape) for shape in shapes], np.int32)
        self._graph.operators.append(op)
        return op

    def _tensor(self, shape: Sequence[int], *, kind: int = KIND.FLOAT32, buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = b"", kind, buffer
        tensor.shape = np.array(shape, np.int32)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _opcode(self, builtin: int, version: int, custom: bytes | None) -> int:
        codes = self._model.operatorCodes
        for index, code in enumerate(codes):
            if (code.builtinCode, code.version, code.customCode) == (builtin, version, custom):
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.version, code.customCode = builtin, version, custom
        code.deprecatedBuiltinCode = min(builtin, CODE.PLACEHOLDER_FOR_GREATER_OP_CODES)
        codes.append(code)
        return len(codes) - 1


def set_outputs(model: Any, named: dict[str, int]) -> None:
    """Makes tensors the outputs of the one network, in this order and by these names."""
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    graph.outputs = np.array(list(named.values()), np.int32)
    signature.outputs = []
    for name, tensor in named.items():
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name.encode(), tensor
        graph.tensors[tensor].name = end.name
        signature.outputs.append(end)
