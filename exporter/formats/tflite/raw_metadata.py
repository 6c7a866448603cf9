"""What TFLite's metadata say of a detector whose heads an app decodes: anchors, scales, and the two outputs.

They have no place for thresholds: how certain a box must be, and which of two that overlap goes, is the app's to say.
The tables are those of object_detector_metadata_schema.fbs (google-ai-edge/mediapipe), numbered in the order of their
fields, in a flatbuffer of their own among the metadata of the network.
"""

from enum import IntEnum
from typing import Final

import numpy as np

from mbexport.errors import DataError, OptionError
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import SCORE, Decoding
from mbexport.formats.tflite.detection_metadata import feature_output, location_output
from mbexport.formats.tflite.metadata_schema import (
    TENSOR_AXIS_LABELS,
    CustomMetadata,
    Reader,
    SubGraphExtras,
    Writer,
)

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


class Steps(IntEnum):
    """How codes become boxes: sizes by an exponential, without key points, of scores that are 0 to 1 already."""

    CLASSES = 0
    BOXES = 1
    COORDINATES = 2
    VALUES_PER_KEY_POINT = 5
    X_SCALE = 6
    Y_SCALE = 7
    W_SCALE = 8
    H_SCALE = 9
    IS_EXPONENTIAL = 10
    HAS_LOGITS = 11


def raw_outputs(writer: Writer, description: Description) -> list[int]:
    """The tables of the two outputs, in their order."""
    label_kind = TENSOR_AXIS_LABELS if description.labels else None
    return [
        location_output(writer, _LOCATION_TEXT),
        feature_output(writer, SCORE, _SCORE_TEXT, label_kind=label_kind),
    ]


def raw_options(writer: Writer, decoding: Decoding) -> int:
    """The table that holds how the outputs are decoded."""
    data = writer.data(_options(decoding))
    return writer.table(texts={CustomMetadata.NAME: _NAME}, parts={CustomMetadata.DATA: data})


def _options(decoding: Decoding) -> bytes:
    writer = Writer()
    anchors = [
        writer.table(reals={Anchor.X_CENTER: x, Anchor.Y_CENTER: y, Anchor.WIDTH: width, Anchor.HEIGHT: height})
        for y, x, height, width in decoding.anchors.tolist()
    ]
    fixed = writer.table(parts={Anchors.FIXED: writer.tables(anchors)})
    ssd = writer.table(parts={Anchors.FIXED: fixed})
    y, x, height, width = decoding.code_scales
    steps = writer.table(
        counts={
            Steps.CLASSES: decoding.classes,
            Steps.BOXES: len(decoding.anchors),
            Steps.COORDINATES: _COORDINATES,
            Steps.VALUES_PER_KEY_POINT: _VALUES_PER_KEY_POINT,
        },
        reals={Steps.X_SCALE: x, Steps.Y_SCALE: y, Steps.W_SCALE: width, Steps.H_SCALE: height},
        kinds={Steps.IS_EXPONENTIAL: 1},
    )
    root = writer.table(
        texts={Options.MIN_PARSER_VERSION: _PARSER_VERSION},
        parts={Options.SSD_ANCHORS: ssd, Options.DECODING: steps},
    )
    return writer.whole(root, identifier=_IDENTIFIER)


def read_decoding(graph: Reader) -> Decoding | None:
    """How the outputs are decoded, by what is said of the network as a whole; None where nothing is.

    Raises `DataError` for other steps than those that are written here, and for anchors and scales that are none.
    """
    customs = graph.tables(SubGraphExtras.CUSTOM_METADATA)
    found = next((each for each in customs if each.text(CustomMetadata.NAME) == _NAME), None)
    if found is None:
        return None
    content = found.data(CustomMetadata.DATA)
    if content[4:8] != _IDENTIFIER:
        raise DataError(f"its {_NAME} must be marked {_IDENTIFIER.decode()}, got {content[4:8]!r}")
    root = Reader.root(content)
    steps, ssd = root.table(Options.DECODING), root.table(Options.SSD_ANCHORS)
    fixed = None if ssd is None else ssd.table(Anchors.FIXED)
    if steps is None or fixed is None:
        raise DataError(f"its {_NAME} must have anchors and say how they are used, got no such tables")
    _require_known(steps)
    fields = (Anchor.Y_CENTER, Anchor.X_CENTER, Anchor.HEIGHT, Anchor.WIDTH)
    anchors = [[each.real(field) for field in fields] for each in fixed.tables(Anchors.FIXED)]
    if steps.count(Steps.BOXES) != len(anchors):
        raise DataError(f"its {_NAME} must have {steps.count(Steps.BOXES)} anchors, got {len(anchors)}")
    y, x, height, width = map(steps.real, (Steps.Y_SCALE, Steps.X_SCALE, Steps.H_SCALE, Steps.W_SCALE))
    try:
        return Decoding(
            anchors=np.array(anchors, np.float32).reshape(-1, 4),
            code_scales=(y, x, height, width),
            classes=steps.count(Steps.CLASSES),
        )
    except OptionError as error:
        raise DataError(f"its {_NAME} cannot be used: {error}") from None


def _require_known(steps: Reader) -> None:
    """Raises `DataError` for other steps than ours."""
    is_known = (
        steps.count(Steps.COORDINATES) == _COORDINATES
        and steps.kind(Steps.IS_EXPONENTIAL)
        and not steps.kind(Steps.HAS_LOGITS)
    )
    if not is_known:
        raise DataError(
            f"its {_NAME} must ask for boxes of {_COORDINATES} codes with an exponential of sizes, and for scores of 0 "
            "to 1, got other steps"
        )
