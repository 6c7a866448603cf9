"""The program in a Core ML package: its operations with their numbers, as the specification and the blobs hold them.

Sources: mlmodel/format/MIL.proto of apple/coremltools (numbers of fields and of types), and its mlmodel/src/MILBlob
(a blob: 64 bytes of header, of which a sentinel, a type, the size and the place of its numbers).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.coreml.wire import Message, array_of

# MIL.proto, enum DataType: numpy's names.
_TYPES: Final = {1: "bool", 2: "str", 10: "float16", 11: "float32", 12: "float64"} | {
    first + place: f"{sign}{8 << place}" for first, sign in ((21, "int"), (31, "uint")) for place in range(4)
}
_OTHER: Final = "other"  # a type that no program of ours has
_SENTINEL: Final = 0xDEADBEEF
_BLOB: Final = struct.Struct("<IIQQ")  # sentinel, type, size in bytes, place of the numbers
_MAX_DIMENSIONS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """The name, type and shape of what an operation gives; the name of a type is numpy's, or `str`, or `other`."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Numbers of the program; `place` is where they begin in the file of weights, None for those in the program."""

    values: NDArray[Any]
    place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: what it reads by parameter, tensors by name or numbers, what it gives, and its attributes."""

    kind: str
    inputs: Mapping[str, tuple["str | Constant", ...]]
    outputs: tuple[Tensor, ...]
    attributes: Mapping[str, Constant] = field(default_factory=dict)

    def read(self, parameter: str) -> "str | Constant | None":
        """The tensor, by name, or the numbers that it reads for a parameter; None of one that is not given."""
        return next(iter(self.inputs.get(parameter, ())), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The one function of a package: its operations in their order, and the names of what it gives."""

    opset: str
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]

    def constants(self) -> dict[str, NDArray[Any]]:
        """The numbers that need no image, by name: constants as they are, 8-bit weights unpacked."""
        found = {}
        for operation in self.operations:
            if operation.kind == "const":
                found[operation.outputs[0].name] = operation.attributes["val"].values
            elif operation.kind == UNPACK:
                found[operation.outputs[0].name] = unpacked(operation)
        return found


UNPACK: Final = "constexpr_affine_dequantize"


def unpacked(operation: Operation) -> NDArray[Any]:
    """The weights of an operation that unpacks: scale * (code - zero point) along its axis, in the scale's type."""
    given = operation.attributes
    try:
        codes, scale, zero = (given[name].values for name in ("quantized_data", "scale", "zero_point"))
        axis = int(given["axis"].values)
        shape = [1] * codes.ndim
        if scale.ndim:
            shape[axis] = -1
        wide = codes.astype(np.float32) - zero.astype(np.float32).reshape(shape if zero.ndim else ())
        exact: NDArray[Any] = wide * scale.astype(np.float32).reshape(shape if scale.ndim else ())
    except (KeyError, IndexError, TypeError, ValueError):
        raise DataError(f"its operation {operation.outputs[0].name} has no weights that can be unpacked") from None
    return exact.astype(scale.dtype)


def program_of(message: Message, weights: bytes) -> Program:
    """The program in a specification's field mlProgram, whose large numbers lie in the file `weights`.

    Raises `DataError` for what is no program of one function and one block.
    """
    functions = message.map(2)
    if set(functions) != {"main"}:
        raise DataError(f"its program must have one function, main, got {', '.join(sorted(functions)) or 'none'}")
    main = functions["main"]
    opset = main.text(2)
    blocks = main.map(3)
    if opset not in blocks:
        raise DataError(f"its program has no block for {opset or 'its operations'}")
    block = blocks[opset]
    operations = tuple(_operation(each, weights) for each in block.messages(3))
    return Program(opset=opset, operations=operations, outputs=block.texts(2))


def _operation(message: Message, weights: bytes) -> Operation:
    kind, outputs = message.text(1), tuple(_tensor(each) for each in message.messages(3))
    inputs = {
        name: tuple(_argument(each, weights) for each in given.messages(1)) for name, given in message.map(2).items()
    }
    attributes = {name: _constant(value, weights) for name, value in message.map(5).items() if name != "name"}
    if not outputs or (kind == "const" and "val" not in attributes):
        raise DataError(f"its operation {kind or 'of no kind'} gives nothing")
    return Operation(kind=kind, inputs=inputs, outputs=outputs, attributes=attributes)


def _argument(message: Message, weights: bytes) -> "str | Constant":
    return _constant(message.message(2), weights) if message.has(2) else message.text(1)


def _tensor(message: Message) -> Tensor:
    dtype, shape = _type(message.message(2))
    return Tensor(name=message.text(1), dtype=dtype, shape=shape)


def _type(message: Message) -> tuple[str, tuple[int, ...]]:
    """The type of a tensor and its shape, in which -1 is a size that is not fixed."""
    if not message.has(1):
        return _OTHER, ()
    tensor = message.message(1)
    sizes = [each.message(1).whole(1) if each.has(1) else -1 for each in tensor.messages(3)]
    if len(sizes) > _MAX_DIMENSIONS:
        raise DataError(f"its tensors must have at most {_MAX_DIMENSIONS} dimensions, got {len(sizes)}")
    return _TYPES.get(tensor.whole(1), _OTHER), tuple(sizes)


def _constant(message: Message, weights: bytes) -> Constant:
    if message.message(3).has(3):  # a list, as the labels of a classifier
        rows = message.message(3).message(3).messages(1)
        texts = [text for each in rows for text in each.message(3).message(1).message(4).texts(1)]
        return Constant(values=np.array(texts, dtype=object))
    dtype, shape = _type(message.message(2))
    if dtype == _OTHER:
        raise DataError("its program holds numbers of a type that is not known")
    place = None
    if message.has(5):
        place, content = _blob(weights, message.message(5).whole(2))
        values = array_of(content, dtype)
    else:
        values = _immediate(message.message(3).message(1), dtype)
    if min(shape, default=0) < 0 or values.size != math.prod(shape):
        raise DataError(f"its program holds {values.size} numbers in the shape {shape}")
    return Constant(values=values.reshape(shape), place=place)


def _immediate(tensor: Message, dtype: str) -> NDArray[Any]:
    """The numbers of a TensorValue, whose field says how they are written."""
    if dtype == "str":
        return np.array(tensor.message(4).texts(1), dtype=object)
    if tensor.has(7):
        return array_of(tensor.message(7).content(1), dtype)
    for number, kind in ((1, "float32"), (6, "float64")):
        if tensor.has(number):
            return tensor.message(number).floats(1, kind).astype(dtype)
    wholes = next((tensor.message(number).wholes(1) for number in (2, 5, 3) if tensor.has(number)), ())
    return np.array(wholes, np.int64).astype(dtype)


def _blob(weights: bytes, offset: int) -> tuple[int, bytes]:
    """Where the numbers of the blob at `offset` begin, and their bytes."""
    if offset + _BLOB.size > len(weights):
        raise DataError("its weights are damaged")
    sentinel, _, size, place = _BLOB.unpack_from(weights, offset)
    if sentinel != _SENTINEL or place + size > len(weights):
        raise DataError("its weights are damaged")
    return place, weights[place : place + size]
