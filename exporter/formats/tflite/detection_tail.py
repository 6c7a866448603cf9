"""Append to a .tflite what makes detections of a detector's outputs. Loads no TensorFlow.

    boxes_0, ...   -> DEQUANTIZE -> RESHAPE (1, n_0, 4) -> CONCATENATION -> op
    classes_0, ... -> DEQUANTIZE -> RESHAPE (1, n_0, classes) -> CONCATENATION -> LOGISTIC -> PAD -> op
    op -> MAXIMUM 0 -> MINIMUM 1: location;  op -> SUB -> MAXIMUM 0: category;  op: score, number of detections

The op is `TFLite_Detection_PostProcess` in its regular mode (tensorflow/lite/kernels/detection_postprocess.cc), which
fills the rows behind the number with zeros; its fast mode would leave those of the image before. It takes no int8, and
would make 8-bit anchors of uint8: hence DEQUANTIZE. Boxes are cut off at the image's border behind it: their overlap is
that of whole ones, and MediaPipe would move those that stick out.

PAD puts columns without a score before those of the classes. Run by T threads the op forgets the class with the number
T, unless that is 0 or 1: its threads begin with the first T classes, and take each further one from a counter that
begins at T and is raised before it is read. The empty columns have the numbers that are forgotten.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from mbexport.errors import StageError
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, SCORE, DetectionTail
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.graph_writer import CODE, GraphWriter, set_outputs

OP: Final = b"TFLite_Detection_PostProcess"
# Up to 16 threads forget no class. Measured with 2,892 anchors and 3 classes: 0.1 ms of the 1.3 ms that an int8 network
# of alpha 0.25 at 192 px then takes; each further column takes 0.006 ms.
SPARE_COLUMNS: Final = 17
_NEVER_FORGOTTEN: Final = 2  # classes: those with the numbers 0 and 1
SCALES: Final = ("y_scale", "x_scale", "h_scale", "w_scale")


def with_detection_tail(content: bytes, tail: DetectionTail) -> bytes:
    """The file of a network for one image, whose signature names the heads of `tail`, with detections as its outputs.

    The heads are float32, int8 or uint8. The outputs are float32: `location`, `category`, `score` and `number of
    detections`, in that order, by these names in the signature. Raises `StageError` where heads are missing, have
    other shapes, or are not of as many places as there are anchors.
    """
    model = opened(content)
    writer = GraphWriter(model)
    boxes, classes = heads_in(model, tail)
    codes, logits = _floats(writer, boxes, 4), _floats(writer, classes, tail.classes)
    scores = writer.op(CODE.LOGISTIC, [logits], writer.shape_of(logits))
    spare = SPARE_COLUMNS if tail.classes > _NEVER_FORGOTTEN else 0
    if spare:
        paddings = writer.constant(np.array([[0, 0], [0, 0], [spare, 0]], np.int32))
        scores = writer.op(CODE.PAD, [scores, paddings], (1, len(tail.anchors), tail.classes + spare))
    most = tail.settings.max_detections
    location, category, score, number = writer.custom(
        OP,
        [codes, scores, writer.constant(tail.anchors)],
        [(1, most, 4), (1, most), (1, most), (1,)],
        _options(tail, tail.classes + spare),
    )
    location = _with(writer, CODE.MINIMUM, _with(writer, CODE.MAXIMUM, location, 0), 1)
    if spare:
        category = _with(writer, CODE.MAXIMUM, _with(writer, CODE.SUB, category, spare), 0)
    set_outputs(model, {LOCATION: location, CATEGORY: category, SCORE: score, NUMBER: number})
    return packed(model)


def heads_in(model: Any, tail: DetectionTail) -> tuple[list[int], list[int]]:
    """The heads of boxes and those of classes of a ModelT, map by map, as the signature names them.

    Raises `StageError` unless they are those of `tail`.
    """
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    ends = {end.name.decode(): int(end.tensorIndex) for end in signature.outputs}
    places = 0
    for number, head in enumerate(tail.heads):
        if not ends.keys() >= set(head):
            raise StageError(f"a detector must have the outputs {', '.join(head)}, got {', '.join(sorted(ends))}")
        boxes, classes = (graph.tensors[ends[name]].shape.tolist() for name in head)
        count = boxes[-1] // 4
        if len(boxes) != 4 or [boxes, classes] != [[1, *boxes[1:3], count * width] for width in (4, tail.classes)]:
            raise StageError(
                f"the heads of map {number} must be (1, h, w, k * 4) and (1, h, w, k * {tail.classes}), "
                f"got {boxes} and {classes}"
            )
        places += boxes[1] * boxes[2] * count
    if places != len(tail.anchors):
        raise StageError(f"the heads must have a place for each of {len(tail.anchors)} anchors, got {places}")
    return [ends[boxes] for boxes, _ in tail.heads], [ends[classes] for _, classes in tail.heads]


def _floats(writer: GraphWriter, heads: Sequence[int], width: int) -> int:
    """The heads of all maps as floats (1, n, width)."""
    floats = [
        head if writer.is_float(head) else writer.op(CODE.DEQUANTIZE, [head], writer.shape_of(head)) for head in heads
    ]
    return writer.joined([writer.rows(head, width) for head in floats])


def _with(writer: GraphWriter, code: int, tensor: int, number: float) -> int:
    """Each number of a float32 tensor less `number`, or the larger or the smaller of both, by the op of that code."""
    options = schema.SubOptionsT() if code == CODE.SUB else schema.MaximumMinimumOptionsT()
    other = writer.constant(np.array(number, np.float32))
    return writer.op(code, [tensor, other], writer.shape_of(tensor), options=options)


def _options(tail: DetectionTail, columns: int) -> bytes:
    """The op's own options, a map in a flexbuffer."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("max_detections", tail.settings.max_detections)
        builder.Int("max_classes_per_detection", 1)
        builder.Int("detections_per_class", tail.settings.max_detections)
        builder.Bool("use_regular_nms", True)
        builder.Float("nms_score_threshold", tail.settings.score_threshold)
        builder.Float("nms_iou_threshold", tail.settings.iou_threshold)
        builder.Int("num_classes", columns)
        for name, scale in zip(SCALES, tail.code_scales, strict=True):
            builder.Float(name, scale)
    return bytes(builder.Finish())
