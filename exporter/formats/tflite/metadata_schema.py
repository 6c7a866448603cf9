"""The tables of TFLite's published metadata schema, written and read with flatbuffers.

The field numbers are the order of the fields in metadata_schema.fbs (tensorflow/tflite-support, and unchanged in
google-ai-edge/mediapipe); a union takes two, its type first. Only what is written here has a name here.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final

import flatbuffers
from flatbuffers import encode, number_types, packer
from flatbuffers.table import Table

IDENTIFIER: Final = b"M001"
# What a parser must know at least: no field or type below came later than the schema's first version.
MIN_PARSER_VERSION: Final = "1.0.0"
GROUPS_PARSER_VERSION: Final = "1.2.0"  # what a parser of groups of tensors must know
CUSTOM_PARSER_VERSION: Final = "1.5.0"  # what one of metadata of other schemas must know
_DATA_ALIGNMENT: Final = 16
NORMALIZATION_OPTIONS: Final = 1  # the type of that union
TENSOR_AXIS_LABELS: Final = 2  # the type of a file that has a line for each score
TENSOR_VALUE_LABELS: Final = 3  # of one that has a line for each value of a tensor


class ModelMetadata(IntEnum):
    """The root."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPH_METADATA = 3
    AUTHOR = 4
    LICENSE = 5
    MIN_PARSER_VERSION = 7


class SubGraphMetadata(IntEnum):
    """What goes into the network and comes out."""

    INPUT_TENSOR_METADATA = 2
    OUTPUT_TENSOR_METADATA = 3


class SubGraphExtras(IntEnum):
    """What is said of the network as a whole: tensors that belong together, and metadata of other schemas."""

    OUTPUT_TENSOR_GROUPS = 8
    CUSTOM_METADATA = 9


class CustomMetadata(IntEnum):
    """Metadata of another schema, as a flatbuffer of its own."""

    NAME = 0
    DATA = 1


class TensorGroup(IntEnum):
    """Tensors that belong together."""

    NAME = 0
    TENSOR_NAMES = 1


class TensorMetadata(IntEnum):
    """One input or output."""

    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    STATS = 5
    ASSOCIATED_FILES = 6


class Content(IntEnum):
    """What a tensor holds."""

    PROPERTIES_TYPE = 0
    PROPERTIES = 1
    RANGE = 2


class ContentProperties(IntEnum):
    """The types of that union."""

    FEATURE = 1
    IMAGE = 2
    BOUNDING_BOX = 3


class ValueRange(IntEnum):
    """The axes of a tensor that each part of its content takes, from the first to the last."""

    MIN = 0
    MAX = 1


class BoundingBoxProperties(IntEnum):
    """Boxes: `INDEX` has the places of left, top, right and bottom among the four numbers of each."""

    INDEX = 0
    TYPE = 1
    COORDINATE_TYPE = 2


class BoundingBoxType(IntEnum):
    """Only the sides' own places are written and read here."""

    BOUNDARIES = 1


class CoordinateType(IntEnum):
    """The unit of coordinates."""

    RATIO = 0


class ImageProperties(IntEnum):
    """An image."""

    COLOR_SPACE = 0
    DEFAULT_SIZE = 1


class ColorSpace(IntEnum):
    """Blue first has no number of its own."""

    UNKNOWN = 0
    RGB = 1
    GRAYSCALE = 2


class ImageSize(IntEnum):
    """In pixels."""

    WIDTH = 0
    HEIGHT = 1


class ProcessUnit(IntEnum):
    """What a client does to a tensor."""

    OPTIONS_TYPE = 0
    OPTIONS = 1


class NormalizationOptions(IntEnum):
    """(x - mean) / std."""

    MEAN = 0
    STD = 1


class Stats(IntEnum):
    """The ends of a tensor's values."""

    MAX = 0
    MIN = 1


class AssociatedFile(IntEnum):
    """A file in the zip behind the network."""

    NAME = 0
    DESCRIPTION = 1
    TYPE = 2


class Writer(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers publishes no types
    """Writes tables from their leaves to the root; what it gives is a position, for the table that refers to it."""

    def table(
        self,
        *,
        texts: Mapping[IntEnum, str] | None = None,
        parts: Mapping[IntEnum, int] | None = None,
        kinds: Mapping[IntEnum, int] | None = None,
        counts: Mapping[IntEnum, int] | None = None,
        reals: Mapping[IntEnum, float] | None = None,
    ) -> int:
        """A table: strings, positions of tables and vectors, enums, unions or booleans (byte), uint32, and float32."""
        positions = {**{field: self.CreateString(text) for field, text in (texts or {}).items()}, **(parts or {})}
        kinds, counts, reals = kinds or {}, counts or {}, reals or {}
        self.StartObject(1 + max((*positions, *kinds, *counts, *reals), default=-1))
        for field, position in positions.items():
            self.PrependUOffsetTRelativeSlot(field, position, 0)
        for field, count in counts.items():
            self.PrependUint32Slot(field, count, 0)
        for field, value in reals.items():
            self.PrependFloat32Slot(field, value, 0.0)
        for field, kind in kinds.items():
            self.PrependInt8Slot(field, kind, 0)
        end: int = self.EndObject()
        return end

    def tables(self, positions: Iterable[int]) -> int:
        """A vector of tables."""
        given = list(positions)
        self.StartVector(4, len(given), 4)
        for position in reversed(given):
            self.PrependUOffsetTRelative(position)
        end: int = self.EndVector()
        return end

    def texts(self, values: Iterable[str]) -> int:
        """A vector of strings."""
        return self.tables([self.CreateString(value) for value in values])

    def floats(self, values: Iterable[float]) -> int:
        """A vector of float32."""
        given = list(values)
        self.StartVector(4, len(given), 4)
        for value in reversed(given):
            self.PrependFloat32(value)
        end: int = self.EndVector()
        return end

    def counts(self, values: Iterable[int]) -> int:
        """A vector of uint32."""
        given = list(values)
        self.StartVector(4, len(given), 4)
        for value in reversed(given):
            self.PrependUint32(value)
        end: int = self.EndVector()
        return end

    def data(self, content: bytes) -> int:
        """A vector of bytes, on 16 bytes, as a flatbuffer inside another one wants it."""
        self.StartVector(1, len(content), _DATA_ALIGNMENT)
        for byte in reversed(content):
            self.PrependByte(byte)
        end: int = self.EndVector()
        return end

    def whole(self, root: int, *, identifier: bytes = IDENTIFIER) -> bytes:
        """The whole, with the root at `root`."""
        self.Finish(root, file_identifier=identifier)
        return bytes(self.Output())


class Reader:
    """Reads a table field by field; what is not there is None or empty."""

    def __init__(self, table: Any) -> None:
        self._table = table

    @classmethod
    def root(cls, content: bytes) -> "Reader":
        """The root table of a whole flatbuffer."""
        return cls(Table(content, encode.Get(packer.uoffset, content, 0)))

    def text(self, field: IntEnum) -> str | None:
        """A string."""
        at = self._at(field)
        return None if at is None else self._table.String(at).decode()

    def table(self, field: IntEnum) -> "Reader | None":
        """A table, or the value of a union."""
        at = self._at(field)
        return None if at is None else Reader(Table(self._table.Bytes, self._table.Indirect(at)))

    def tables(self, field: IntEnum) -> list["Reader"]:
        """A vector of tables."""
        return [Reader(Table(self._table.Bytes, self._table.Indirect(at))) for at in self._elements(field)]

    def floats(self, field: IntEnum) -> tuple[float, ...]:
        """A vector of float32."""
        return tuple(self._table.Get(number_types.Float32Flags, at) for at in self._elements(field))

    def data(self, field: IntEnum) -> bytes:
        """A vector of bytes."""
        start, count = self._vector(field, size=1)
        return bytes(self._table.Bytes[start : start + count])

    def count(self, field: IntEnum) -> int:
        """A uint32; 0 if it is not there."""
        at = self._at(field)
        return 0 if at is None else int(self._table.Get(number_types.Uint32Flags, at))

    def real(self, field: IntEnum) -> float:
        """A float32; 0 if it is not there."""
        at = self._at(field)
        return 0.0 if at is None else float(self._table.Get(number_types.Float32Flags, at))

    def counts(self, field: IntEnum) -> tuple[int, ...]:
        """A vector of uint32."""
        return tuple(self._table.Get(number_types.Uint32Flags, at) for at in self._elements(field))

    def kind(self, field: IntEnum) -> int:
        """The number of an enum or union; 0 if it is not there."""
        at = self._at(field)
        return 0 if at is None else int(self._table.Get(number_types.Int8Flags, at))

    def _at(self, field: IntEnum) -> int | None:
        offset = self._table.Offset(4 + 2 * field)  # behind the vtable's own size and the table's
        return self._table.Pos + offset if offset else None

    def _elements(self, field: IntEnum) -> list[int]:
        start, count = self._vector(field, size=4)
        return [start + 4 * index for index in range(count)]

    def _vector(self, field: IntEnum, *, size: int) -> tuple[int, int]:
        """Where a vector of elements of so many bytes begins, and how many there are; none if it is not there."""
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return 0, 0
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        if start + size * count > len(self._table.Bytes):
            raise ValueError(f"a vector must lie within the metadata, got one of {count} elements")
        return start, count
