"""What TFLite's metadata say of a detector's four outputs: MediaPipe's ObjectDetector reads just this.

Source: DetectionOutputTensorsMd in mediapipe/tasks/python/metadata/metadata_writers/metadata_info.py.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from mbexport.artifact import LABELS, TensorSpec
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
    TensorGroup,
    TensorMetadata,
    ValueRange,
    Writer,
)

_GROUP: Final = "detection_result"
_SIDES: Final = (1, 0, 3, 2)  # where left, top, right and bottom are in a box; without it x and y change places
_PER_BOX: Final = 2  # the axis behind that of the boxes
_TEXTS: Final = {
    LOCATION: "Boxes as ymin, xmin, ymax, xmax in fractions of the image's height and width, cut off at its border.",
    CATEGORY: "The class of each box: the number of its line in the labels, from 0.",
    SCORE: "How certain each box is, from 0 to 1, the highest first.",
    NUMBER: "How many boxes there are; what lies behind them is 0.",
}


def detection_outputs(writer: Writer, description: Description, targets: Sequence[TensorSpec]) -> list[int]:
    """The tables of the outputs `targets`, in their order."""
    return [_output(writer, description, target.name) for target in targets]


def detection_group(writer: Writer) -> int:
    """The table that says which outputs tell of the same boxes."""
    names = writer.texts((LOCATION, CATEGORY, SCORE))
    return writer.table(texts={TensorGroup.NAME: _GROUP}, parts={TensorGroup.TENSOR_NAMES: names})


def _output(writer: Writer, description: Description, name: str) -> int:
    parts: dict[IntEnum, int] = {}
    if name == LOCATION:
        box = writer.table(
            parts={BoundingBoxProperties.INDEX: writer.counts(_SIDES)},
            kinds={
                BoundingBoxProperties.TYPE: BoundingBoxType.BOUNDARIES,
                BoundingBoxProperties.COORDINATE_TYPE: CoordinateType.RATIO,
            },
        )
        parts[TensorMetadata.CONTENT] = _content(writer, ContentProperties.BOUNDING_BOX, box)
    elif name != NUMBER:
        parts[TensorMetadata.CONTENT] = _content(writer, ContentProperties.FEATURE, writer.table())
    if name == CATEGORY and description.labels:
        file = writer.table(
            texts={AssociatedFile.NAME: LABELS, AssociatedFile.DESCRIPTION: "A line for each class."},
            kinds={AssociatedFile.TYPE: TENSOR_VALUE_LABELS},
        )
        parts[TensorMetadata.ASSOCIATED_FILES] = writer.tables([file])
    return writer.table(
        texts={TensorMetadata.NAME: name, TensorMetadata.DESCRIPTION: _TEXTS[name]},
        parts=parts,
    )


def _content(writer: Writer, kind: ContentProperties, properties: int) -> int:
    each = writer.table(counts={ValueRange.MIN: _PER_BOX, ValueRange.MAX: _PER_BOX})
    return writer.table(
        parts={Content.PROPERTIES: properties, Content.RANGE: each}, kinds={Content.PROPERTIES_TYPE: kind}
    )
