"""Read messages of Protocol Buffers without their schema: fields by number, as the wire has them.

What a package holds is read here and not by coremltools, which loads TensorFlow, so that whoever inspects one needs
nothing more, and so that what coremltools wrote is proved by other code.

Source: https://protobuf.dev/programming-guides/encoding. Every function raises `DataError` for what is no message.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_BITS: Final = 64
_DAMAGED: Final = "its specification is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: the values of each field in their order, whole numbers or bytes."""

    values: Mapping[int, list[Any]]

    @classmethod
    def of(cls, content: bytes) -> "Message":
        """The message in these bytes."""
        values: dict[int, list[Any]] = {}
        for number, value in _fields(content):
            values.setdefault(number, []).append(value)
        return cls(values=values)

    def has(self, number: int) -> bool:
        """Whether the field is there."""
        return number in self.values

    def whole(self, number: int) -> int:
        """A whole number; 0, as the format has it, where the field is not there."""
        value = self.values.get(number, [0])[-1]
        if not isinstance(value, int):
            raise DataError(_DAMAGED)
        return value

    def wholes(self, number: int) -> tuple[int, ...]:
        """Whole numbers, packed or not, of which those of 64 bits may be negative."""
        found: list[int] = []
        for value in self.values.get(number, ()):
            found += [value] if isinstance(value, int) else _varints(value)
        return tuple(each - (1 << _MAX_BITS) if each >> (_MAX_BITS - 1) else each for each in found)

    def content(self, number: int) -> bytes:
        """Bytes; none where the field is not there."""
        value = self.values.get(number, [b""])[-1]
        if not isinstance(value, bytes):
            raise DataError(_DAMAGED)
        return value

    def text(self, number: int) -> str:
        """A text in UTF-8."""
        return _text(self.content(number))

    def texts(self, number: int) -> tuple[str, ...]:
        """Texts in their order."""
        return tuple(_text(each) for each in self.values.get(number, ()))

    def floats(self, number: int, kind: str) -> NDArray[Any]:
        """Packed floats; `kind` is numpy's name of their type."""
        content = b"".join(each if isinstance(each, bytes) else b"?" for each in self.values.get(number, ()))
        return array_of(content, kind)

    def message(self, number: int) -> "Message":
        """A message; an empty one where the field is not there."""
        return Message.of(self.content(number))

    def messages(self, number: int) -> tuple["Message", ...]:
        """Messages in their order."""
        return tuple(Message.of(_bytes(each)) for each in self.values.get(number, ()))

    def map(self, number: int) -> dict[str, "Message"]:
        """The messages of a map by their names."""
        return {each.text(1): each.message(2) for each in self.messages(number)}


def array_of(content: bytes, kind: str) -> NDArray[Any]:
    """The numbers of numpy's type `kind` in these bytes, little-endian."""
    dtype = np.dtype(kind).newbyteorder("<")
    if len(content) % dtype.itemsize:
        raise DataError(_DAMAGED)
    return np.frombuffer(content, dtype).astype(kind)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(content, place)
            yield number, value
            continue
        size = _FIXED.get(kind)
        if kind == _BYTES:
            size, place = _varint(content, place)
        if size is None or place + size > len(content):
            raise DataError(_DAMAGED)
        yield number, content[place : place + size]
        place += size


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _MAX_BITS + 6, 7):
        if place >= len(content):
            break
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << _MAX_BITS) - 1), place
    raise DataError(_DAMAGED)


def _varints(content: bytes) -> list[int]:
    found, place = [], 0
    while place < len(content):
        value, place = _varint(content, place)
        found.append(value)
    return found


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise DataError(_DAMAGED)
    return value


def _text(value: Any) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise DataError(_DAMAGED) from None
