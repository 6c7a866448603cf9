"""LiteRT's own `TFLite_Detection_PostProcess`, as a file of one op that is written by hand."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers
from tflite_by_hand import model_of, tensor_of

from mbexport.formats.tflite.file import packed
from mbexport.models.detection.boxes import Detections, clipped
from mbexport.models.detection.settings import PostProcess

CODE_SCALES = (10.0, 10.0, 5.0, 5.0)


def op_detections(
    codes: Any, scores: Any, anchors: Any, settings: PostProcess, code_scales: tuple[float, ...] = CODE_SCALES
) -> Detections:
    """What the op finds in its regular mode, cut off at the image's border."""
    file = _file(np.asarray(anchors, np.float32), scores.shape[1], settings, code_scales)
    interpreter = Interpreter(model_content=file)
    interpreter.allocate_tensors()
    for source, values in zip(interpreter.get_input_details(), (codes, scores), strict=True):
        interpreter.set_tensor(source["index"], np.asarray(values, np.float32)[None])
    interpreter.invoke()
    corners, classes, found, number = (
        interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()
    )
    count = int(number[0])
    return Detections.of(clipped(corners[0, :count]), classes[0, :count], found[0, :count])


def _file(anchors: Any, classes: int, settings: PostProcess, code_scales: tuple[float, ...]) -> bytes:
    count, most = len(anchors), settings.max_detections
    graph, op = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = [
        tensor_of("codes", "float32", (1, count, 4)),
        tensor_of("scores", "float32", (1, count, classes)),
        tensor_of("anchors", "float32", (count, 4), buffer=1),
        tensor_of("location", "float32", (1, most, 4)),
        *(tensor_of(name, "float32", (1, most)) for name in ("category", "score")),
        tensor_of("number of detections", "float32", (1,)),
    ]
    op.inputs, op.outputs = np.arange(3, dtype=np.int32), np.arange(3, 7, dtype=np.int32)
    op.customOptions = np.frombuffer(op_options(classes, settings, code_scales), np.uint8)
    graph.operators, graph.inputs, graph.outputs = [op], op.inputs[:2], op.outputs
    model = model_of(graph, ["CUSTOM"], [None, anchors.tobytes()])
    model.operatorCodes[0].customCode = b"TFLite_Detection_PostProcess"
    return packed(model)


def op_options(classes: int, settings: PostProcess, code_scales: tuple[float, ...] = CODE_SCALES) -> bytes:
    """The op's own options, a map in a flexbuffer."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("max_detections", settings.max_detections)
        builder.Int("max_classes_per_detection", 1)
        builder.Int("detections_per_class", settings.max_detections)
        builder.Bool("use_regular_nms", True)
        builder.Float("nms_score_threshold", settings.score_threshold)
        builder.Float("nms_iou_threshold", settings.iou_threshold)
        builder.Int("num_classes", classes)
        for name, scale in zip(("y_scale", "x_scale", "h_scale", "w_scale"), code_scales, strict=True):
            builder.Float(name, scale)
    return bytes(builder.Finish())
