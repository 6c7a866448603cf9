"""Find single features in a serialized `tf.train.Example` without reading its image, nor the rest of it.

The message is Example{1: Features{1: map<string, Feature>}}, and a Feature{1: BytesList, 2: FloatList, 3: Int64List}
with values in field 1 (tensorflow/core/example/example.proto and feature.proto). A field is a number of seven bits a
byte, which has the field's number and its wire type, and then its content (protobuf.dev, "Encoding"). Generated classes
would need whole records in memory: to list a million photos, all of them would be read.
"""

from collections.abc import Callable, Iterator
from typing import Final

At = Callable[[int, int], bytes]  # (offset, size_bytes) -> those bytes, fewer at the end
Span = tuple[int, int]  # where bytes begin and end
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_FEATURES = _ENTRY = _KEY = _VALUES = 1
_FEATURE: Final = 2
_BYTES_LIST, _INT64_LIST = 1, 3
_MOST_VARINT_BYTES: Final = 10
_HEAD_BYTES: Final = 2 * _MOST_VARINT_BYTES  # of a field: its tag, and its length or number
_MOST_KEY_BYTES: Final = 1024
_SIGN: Final = 1 << 63


def features(at: At, start: int, end: int) -> Iterator[tuple[bytes, Span]]:
    """The key of each feature, and where its message lies. Raises `ValueError` for bytes that are no Example."""
    for message, first, last in _fields(at, start, end):
        if message != _FEATURES:
            continue
        for entry, inner, outer in _fields(at, first, last):
            if entry == _ENTRY:
                yield _entry(at, inner, outer)


def bytes_of(at: At, span: Span) -> Span | None:
    """Where the first text or file of a feature lies; None for a feature of numbers, or without a value."""
    for kind, first, last in _fields(at, *span):
        if kind == _BYTES_LIST:
            return next(((a, b) for number, a, b in _fields(at, first, last) if number == _VALUES), None)
    return None


def integers_of(at: At, span: Span) -> list[int]:
    """The whole numbers of a feature; none for one of another kind. Raises `ValueError` for damaged ones."""
    found: list[int] = []
    for kind, first, last in _fields(at, *span):
        if kind != _INT64_LIST:
            continue
        for number, a, b in _fields(at, first, last):
            if number == _VALUES:  # packed, or one a field, in which case the field is the number
                found += _varints(at(a, b - a))
    return found


def _entry(at: At, start: int, end: int) -> tuple[bytes, Span]:
    """The key and the Feature of an entry of a map: fields that are missing are empty."""
    key, feature = b"", (end, end)
    for number, first, last in _fields(at, start, end):
        if number == _KEY:
            if last - first > _MOST_KEY_BYTES:
                raise ValueError("a feature has a name of more than a kilobyte")
            key = at(first, last - first)
        elif number == _FEATURE:
            feature = first, last
    return key, feature


def _fields(at: At, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, and where its content begins and ends. Raises `ValueError`."""
    while start < end:
        head = at(start, min(_HEAD_BYTES, end - start))
        tag, used = _varint(head, 0)
        wire_type = tag & 7
        first = start + used
        if wire_type == _BYTES:
            size_bytes, used = _varint(head, used)
            first, last = start + used, start + used + size_bytes
        elif wire_type == _VARINT:
            last = start + _varint(head, used)[1]
        elif wire_type in _FIXED_BYTES:
            last = first + _FIXED_BYTES[wire_type]
        else:
            raise ValueError(f"a field has the wire type {wire_type}")
        if last > end:
            raise ValueError(f"a field has {last - end} bytes more than there are")
        yield tag >> 3, first, last
        start = last


def _varint(content: bytes, start: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends. Raises `ValueError` for one that does not end."""
    if start < len(content) and content[start] < 0x80:  # as nearly all are
        return content[start], start + 1
    value = 0
    for place, byte in enumerate(content[start : start + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, start + place + 1
    raise ValueError("a number does not end")


def _varints(content: bytes) -> Iterator[int]:
    """Numbers one after the other, as int64."""
    start = 0
    while start < len(content):
        value, start = _varint(content, start)
        yield ((value & (2 * _SIGN - 1)) ^ _SIGN) - _SIGN
