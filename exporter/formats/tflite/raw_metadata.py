"""What TFLite's metadata say of a detector whose heads an app decodes: anchors, scales, and the two outputs.

The tables are those of object_detector_metadata_schema.fbs (google-ai-edge/mediapipe), numbered in the order of their
fields, in a flatbuffer of their own among the metadata of the network.
"""

from enum import IntEnum
from typing import Final

from mbexport.formats.description import Description
from mbexport.formats.detection_tail import SCORE, DetectionTail
from mbexport.formats.tflite.detection_metadata import feature_output, location_output
from mbexport.formats.tflite.metadata_schema import TENSOR_AXIS_LABELS, CustomMetadata, Writer

_NAME: Final = "DETECTOR_METADATA"
_IDENTIFIER: Final = b"V001"
_PARSER_VERSION: Final = "1.0.0"
_COORDINATES: Final = 4
_VALUES_PER_KEY_POINT: Final = 2  # there are no key points, but for any other number MediaPipe ends the process
_LOCATION_TEXT: Final = "Codes ty, tx, th, tw of a box at each anchor."
_SCORE_TEXT: Final = "How certain each class is at each anchor, from 0 to 1."


class Options(IntEnum):
    """The root."""

    MIN_PARSER_VERSION = 0
    SSD_ANCHORS = 1
    DECODING = 2


class Anchors(IntEnum):
    """Of the tables around the anchors, the one field that each has."""

    FIXED = 0


class Anchor(IntEnum):
    """One anchor, in fractions of the image."""

    X_CENTER = 0
    Y_CENTER = 1
    WIDTH = 2
    HEIGHT = 3


class Decoding(IntEnum):
    """How codes become boxes; without key points, and for scores that are probabilities already."""

    CLASSES = 0
    BOXES = 1
    COORDINATES = 2
    VALUES_PER_KEY_POINT = 5
    X_SCALE = 6
    Y_SCALE = 7
    W_SCALE = 8
    H_SCALE = 9
    IS_EXPONENTIAL = 10


def raw_outputs(writer: Writer, description: Description) -> list[int]:
    """The tables of the two outputs, in their order."""
    label_kind = TENSOR_AXIS_LABELS if description.labels else None
    return [
        location_output(writer, _LOCATION_TEXT),
        feature_output(writer, SCORE, _SCORE_TEXT, label_kind=label_kind),
    ]


def raw_options(writer: Writer, tail: DetectionTail) -> int:
    """The table that holds how the outputs are decoded."""
    data = writer.data(_decoding_options(tail))
    return writer.table(texts={CustomMetadata.NAME: _NAME}, parts={CustomMetadata.DATA: data})


def _decoding_options(tail: DetectionTail) -> bytes:
    writer = Writer()
    anchors = [
        writer.table(reals={Anchor.X_CENTER: x, Anchor.Y_CENTER: y, Anchor.WIDTH: width, Anchor.HEIGHT: height})
        for y, x, height, width in tail.anchors.tolist()
    ]
    fixed = writer.table(parts={Anchors.FIXED: writer.tables(anchors)})
    ssd = writer.table(parts={Anchors.FIXED: fixed})
    y, x, height, width = tail.code_scales
    decoding = writer.table(
        counts={
            Decoding.CLASSES: tail.classes,
            Decoding.BOXES: len(tail.anchors),
            Decoding.COORDINATES: _COORDINATES,
            Decoding.VALUES_PER_KEY_POINT: _VALUES_PER_KEY_POINT,
        },
        reals={Decoding.X_SCALE: x, Decoding.Y_SCALE: y, Decoding.W_SCALE: width, Decoding.H_SCALE: height},
        kinds={Decoding.IS_EXPONENTIAL: 1},
    )
    root = writer.table(
        texts={Options.MIN_PARSER_VERSION: _PARSER_VERSION},
        parts={Options.SSD_ANCHORS: ssd, Options.DECODING: decoding},
    )
    return writer.whole(root, identifier=_IDENTIFIER)
