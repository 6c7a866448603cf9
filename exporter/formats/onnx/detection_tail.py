"""Append to an .onnx graph what makes detections of a detector's outputs, as the .tflite's tail does, in ONNX's ops.

    boxes_0, ...   -> Reshape (1, n_0, 4) -> Concat -> decode -> boxes (1, n, 4)
    classes_0, ... -> Reshape (1, n_0, classes) -> Concat -> Sigmoid -> Transpose -> scores (1, classes, n)
    boxes, scores -> NonMaxSuppression -> (m, 3) of 0, class, box, class by class -> TopK -> the four outputs

Equal scores stay in the order in which they were: TopK gives the first of them first, as does NonMaxSuppression within
a class, so that the lower class comes first, and of one class the earlier anchor. Opset 13 has all of these ops in the
form that they have here.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mbexport.errors import StageError
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, SCORE, DetectionTail

_CLASS, _BOX = 1, 2  # the places in a row of what NonMaxSuppression gives
_PREFIX: Final = "detection_"


def append_detection_tail(model: onnx.ModelProto, tail: DetectionTail) -> None:
    """Puts detections in the place of the outputs `boxes_i` and `classes_i` of a network for one image.

    before:  image -> ... -> boxes_0 (1, h, w, k * 4), classes_0 (1, h, w, k * classes), ...
    after:   image -> ... -> location (1, most, 4), category (1, most), score (1, most), number of detections (1,)

    All are float32. Raises `StageError` where an output is missing.
    """
    names = [value.name for value in model.graph.output]
    missing = [name for head in tail.heads for name in head if name not in names]
    if missing:
        raise StageError(f"a detector must have the output {missing[0]}, got {', '.join(sorted(names))}")
    writer, most = _Writer(model), tail.settings.max_detections
    codes, logits = (
        writer.joined([head[place] for head in tail.heads], width) for place, width in enumerate((4, tail.classes))
    )
    boxes = _decoded(writer, codes, tail)
    scores = writer.op("Transpose", writer.op("Sigmoid", logits), perm=[0, 2, 1])
    _detect(writer, boxes, scores, tail)
    del model.graph.output[:]
    for name, shape in ((LOCATION, (1, most, 4)), (CATEGORY, (1, most)), (SCORE, (1, most)), (NUMBER, (1,))):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _decoded(writer: "_Writer", codes: str, tail: DetectionTail) -> str:
    """The corners (1, n, 4) of all boxes, computed as TFLite's op does.

    Centre and half sizes are computed in double precision, and rounded to single before they are added.
    """
    halves = writer.constant(np.array([2, 2], np.int64))
    scales = writer.constant(np.array(tail.code_scales, np.float64))
    anchors = writer.op("Cast", writer.constant(tail.anchors), to=TensorProto.DOUBLE)
    scaled = writer.op("Div", writer.op("Cast", codes, to=TensorProto.DOUBLE), scales)
    shifts, powers = writer.ops("Split", scaled, halves, count=2, axis=2)
    places, sizes = writer.ops("Split", anchors, halves, count=2, axis=1)
    centre = writer.op("Add", writer.op("Mul", shifts, sizes), places)
    half = writer.op("Mul", writer.op("Exp", powers), writer.op("Mul", sizes, writer.constant(np.array(0.5))))
    centre, half = (writer.op("Cast", each, to=TensorProto.FLOAT) for each in (centre, half))
    corners = writer.op("Sub", centre, half), writer.op("Add", centre, half)
    return writer.op("Concat", *corners, axis=2)


def _detect(writer: "_Writer", boxes: str, scores: str, tail: DetectionTail) -> None:
    """The four outputs, from all boxes (1, n, 4) and their scores (1, classes, n)."""
    settings, places = tail.settings, len(tail.anchors)
    most = writer.constant(np.array([settings.max_detections], np.int64))
    # ONNX keeps scores above its threshold, TFLite those that are not below.
    threshold = np.nextafter(np.float32(settings.score_threshold), np.float32(0))
    limits = [writer.constant(np.array([each], np.float32)) for each in (settings.iou_threshold, threshold)]
    found = writer.op("NonMaxSuppression", boxes, scores, most, *limits)
    # Behind what was found there are rows of a box without a size or a score: TopK wants as many as it gives.
    nothing = np.array([[0, 0, places]], np.int64).repeat(settings.max_detections, axis=0)
    rows = writer.op("Concat", found, writer.constant(nothing), axis=0)
    certain = writer.op("GatherND", scores, found)
    certain = writer.op("Concat", certain, writer.constant(np.zeros(settings.max_detections, np.float32)), axis=0)
    best, order = writer.ops("TopK", certain, most, count=2, axis=0)
    rows = writer.op("Gather", rows, order, axis=0)
    box, kind = (writer.op("Gather", rows, writer.constant(np.array(each)), axis=1) for each in (_BOX, _CLASS))
    boxes = writer.op("Concat", boxes, writer.constant(np.zeros((1, 1, 4), np.float32)), axis=1)
    ends = (writer.constant(np.array(end, np.float32)) for end in (0, 1))
    writer.op("Clip", writer.op("Gather", boxes, box, axis=1), *ends, output=LOCATION)
    first = writer.constant(np.array([0], np.int64))
    writer.op("Cast", writer.op("Unsqueeze", kind, first), to=TensorProto.FLOAT, output=CATEGORY)
    writer.op("Unsqueeze", best, first, output=SCORE)
    count = writer.op("Min", writer.op("Gather", writer.op("Shape", found), first, axis=0), most)
    writer.op("Cast", count, to=TensorProto.FLOAT, output=NUMBER)


class _Writer:
    """Adds constants and nodes to a graph; a tensor is known by its name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph, self._count = model.graph, 0

    def joined(self, heads: Sequence[str], width: int) -> str:
        """The heads of all maps as (1, n, width)."""
        shape = self.constant(np.array([1, -1, width], np.int64))
        return self.op("Concat", *(self.op("Reshape", head, shape) for head in heads), axis=1)

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """The output of a node, called `output` if that is given."""
        name = output or self._name()
        self._graph.node.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """The outputs of a node that has `count` of them."""
        names = [self._name() for _ in range(count)]
        self._graph.node.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def constant(self, values: NDArray[Any]) -> str:
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"{_PREFIX}{self._count}"
