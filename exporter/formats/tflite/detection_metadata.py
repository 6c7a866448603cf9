"""What TFLite's metadata say of a detector's four outputs: MediaPipe's ObjectDetector reads just this.

Source: DetectionOutputTensorsMd in mediapipe/tasks/python/metadata/metadata_writers/metadata_info.py.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from mbexport.artifact import LABELS
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, SCORE
from mbexport.formats.tflite.metadata_schema import (
    TENSOR_VALUE_LABELS,
    AssociatedFile,
    BoundingBoxProperties,
    BoundingBoxType,
    Content,
    ContentProperties,
    CoordinateType,
    Reader,
    TensorGroup,
    TensorMetadata,
    ValueRange,
    Writer,
)

_GROUP: Final = "detection_result"
_SIDES: Final = (1, 0, 3, 2)  # where left, top, right and bottom are in a box
_UNSAID: Final = (0, 1, 2, 3)  # what MediaPipe takes where nothing is said: x and y change places
_NAMES: Final = ("left", "top", "right", "bottom")
_PER_BOX: Final = 2  # the axis behind that of the boxes
_TEXTS: Final = {
    LOCATION: "Boxes as ymin, xmin, ymax, xmax in fractions of the image's height and width, cut off at its border.",
    CATEGORY: "The class of each box: the number of its line in the labels, from 0.",
    SCORE: "How certain each box is, from 0 to 1, the highest first.",
    NUMBER: "How many boxes there are; what lies behind them is 0.",
}


def detection_outputs(writer: Writer, description: Description) -> list[int]:
    """The tables of the four outputs, in their order."""
    label_kind = TENSOR_VALUE_LABELS if description.labels else None
    return [
        location_output(writer, _TEXTS[LOCATION]),
        feature_output(writer, CATEGORY, _TEXTS[CATEGORY], label_kind=label_kind),
        feature_output(writer, SCORE, _TEXTS[SCORE]),
        _tensor(writer, NUMBER, _TEXTS[NUMBER], {}),
    ]


def detection_group(writer: Writer) -> int:
    """The table that says which outputs tell of the same boxes."""
    names = writer.texts((LOCATION, CATEGORY, SCORE))
    return writer.table(texts={TensorGroup.NAME: _GROUP}, parts={TensorGroup.TENSOR_NAMES: names})


def location_output(writer: Writer, text: str) -> int:
    """The table of an output with boxes of ymin, xmin, ymax, xmax, or of what these become decoded."""
    box = writer.table(
        parts={BoundingBoxProperties.INDEX: writer.counts(_SIDES)},
        kinds={
            BoundingBoxProperties.TYPE: BoundingBoxType.BOUNDARIES,
            BoundingBoxProperties.COORDINATE_TYPE: CoordinateType.RATIO,
        },
    )
    content = _content(writer, ContentProperties.BOUNDING_BOX, box)
    return _tensor(writer, LOCATION, text, {TensorMetadata.CONTENT: content})


def read_sides(content: Reader) -> str:
    """The order of a box's sides, and their unit, in words, of the table of an output's content."""
    box = content.table(Content.PROPERTIES)
    if box is None or box.kind(BoundingBoxProperties.TYPE) != BoundingBoxType.BOUNDARIES:
        return "no sides"
    places = box.counts(BoundingBoxProperties.INDEX) or _UNSAID
    if sorted(places) != list(_UNSAID):
        return "sides in no order"
    order = ", ".join(_NAMES[places.index(place)] for place in _UNSAID)
    is_ratio = box.kind(BoundingBoxProperties.COORDINATE_TYPE) == CoordinateType.RATIO
    return f"{order} in {'fractions' if is_ratio else 'pixels'}"


def feature_output(writer: Writer, name: str, text: str, *, label_kind: int | None = None) -> int:
    """The table of an output with numbers of each box; `label_kind` says what the labels are of."""
    parts: dict[IntEnum, int] = {TensorMetadata.CONTENT: _content(writer, ContentProperties.FEATURE, writer.table())}
    if label_kind is not None:
        file = writer.table(
            texts={AssociatedFile.NAME: LABELS, AssociatedFile.DESCRIPTION: "A line for each class."},
            kinds={AssociatedFile.TYPE: label_kind},
        )
        parts[TensorMetadata.ASSOCIATED_FILES] = writer.tables([file])
    return _tensor(writer, name, text, parts)


def _tensor(writer: Writer, name: str, text: str, parts: Mapping[IntEnum, int]) -> int:
    return writer.table(texts={TensorMetadata.NAME: name, TensorMetadata.DESCRIPTION: text}, parts=parts)


def _content(writer: Writer, kind: ContentProperties, properties: int) -> int:
    each = writer.table(counts={ValueRange.MIN: _PER_BOX, ValueRange.MAX: _PER_BOX})
    return writer.table(
        parts={Content.PROPERTIES: properties, Content.RANGE: each}, kinds={Content.PROPERTIES_TYPE: kind}
    )
