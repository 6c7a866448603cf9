"""Take the detection tail off a .tflite again: the network alone, and the settings of what was behind it.

Loads no TensorFlow.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from flatbuffers import flexbuffers

from mbexport.errors import StageError
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.tflite.detection_tail import OP, SCALES
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.graph_writer import CODE, set_outputs
from mbexport.models.detection.settings import PostProcess

_OPTIONS: Final = {"max_detections", "nms_score_threshold", "nms_iou_threshold", "num_classes", *SCALES}
# What flexbuffers raises for bytes that are none.
_DAMAGE: Final = (struct.error, ValueError, TypeError, IndexError, KeyError, OverflowError)


def without_detection_tail(content: bytes) -> bytes:
    """The network of a file that `with_detection_tail` made: float32 heads `boxes_i` and `classes_i`, map by map.

    Raises `StageError` for another file.
    """
    model = opened(content)
    found = _Tail.of(model)
    if found is None:
        raise StageError("the .tflite must end in a detection tail as it is appended here, got another end")
    heads = {f"boxes_{number}": index for number, index in enumerate(found.boxes)}
    heads |= {f"classes_{number}": index for number, index in enumerate(found.classes)}
    set_outputs(model, heads)
    _drop_unused(model)
    return packed(model)


def detection_tail_of(content: bytes) -> DetectionTail | None:
    """The tail of a file that `with_detection_tail` made; None for any other."""
    model = opened(content)
    found = _Tail.of(model)
    if found is None:
        return None
    graph, options = model.subgraphs[0], found.options
    y, x, height, width = (options[name] for name in SCALES)
    anchors = model.buffers[graph.tensors[found.op.inputs[2]].buffer].data
    return DetectionTail(
        anchors=np.frombuffer(bytes(anchors), np.float32).reshape(-1, 4),
        code_scales=(y, x, height, width),
        classes=found.columns,
        settings=PostProcess(
            score_threshold=options["nms_score_threshold"],
            iou_threshold=options["nms_iou_threshold"],
            max_detections=options["max_detections"],
        ),
        maps=len(found.boxes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """The `op` and its `options`, the float tensors of both kinds of heads, map by map, and the number of classes."""

    op: Any
    options: Mapping[str, Any]
    boxes: Sequence[int]
    classes: Sequence[int]
    columns: int

    @classmethod
    def of(cls, model: Any) -> "_Tail | None":
        """The tail in a file; None for one that does not end in it."""
        graph = model.subgraphs[0]
        codes = [(code.builtinCode, code.customCode) for code in model.operatorCodes]
        makers = {int(index): op for op in graph.operators for index in op.outputs}

        def source(index: int, code: int) -> list[int]:
            """The inputs of the op that makes a tensor; none, if that is not of this code."""
            op = makers.get(index)
            return [int(each) for each in op.inputs] if op and codes[op.opcodeIndex][0] == code else []

        op = next((op for op in graph.operators if codes[op.opcodeIndex] == (CODE.CUSTOM, OP)), None)
        if op is None:
            return None
        scores = int(op.inputs[1])
        scores = (source(scores, CODE.PAD) or [scores])[0]
        logits = (source(scores, CODE.LOGISTIC) or [-1])[0]
        boxes, classes = (
            [(source(row, CODE.RESHAPE) or [-1])[0] for row in source(joined, CODE.CONCATENATION)]
            for joined in (int(op.inputs[0]), logits)
        )
        options = _options(op)
        is_ours = options.get("use_regular_nms") and options.get("num_classes") == graph.tensors[op.inputs[1]].shape[-1]
        if not is_ours or not boxes or len(boxes) != len(classes) or -1 in (*boxes, *classes):
            return None
        return cls(op=op, options=options, boxes=boxes, classes=classes, columns=int(graph.tensors[scores].shape[-1]))


def _options(op: Any) -> dict[str, Any]:
    """The op's own options; none where they are not all there, with numbers as their values."""
    try:
        found = flexbuffers.Loads(bytes(op.customOptions))
    except _DAMAGE:
        return {}
    is_whole = isinstance(found, dict) and found.keys() >= _OPTIONS
    return found if is_whole and all(isinstance(value, int | float) for value in found.values()) else {}


def _drop_unused(model: Any) -> None:
    """Removes the ops behind the network's outputs, and the tensors that are left over."""
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    needed = {int(index) for index in graph.outputs}
    kept = []
    for op in reversed(graph.operators):
        if needed.intersection(map(int, op.outputs)):
            needed.update(map(int, op.inputs))
            kept.append(op)
    graph.operators = kept[::-1]
    used = needed.union(map(int, graph.inputs), *(map(int, op.outputs) for op in kept)) - {-1}
    places = {-1: -1} | {index: place for place, index in enumerate(sorted(used))}
    graph.tensors = [graph.tensors[index] for index in sorted(used)]
    for owner in (graph, *graph.operators):
        for field in ("inputs", "outputs"):
            indices = [places[int(index)] for index in getattr(owner, field)]
            setattr(owner, field, np.array(indices, np.int32))
    for end in (*signature.inputs, *signature.outputs):
        end.tensorIndex = places[int(end.tensorIndex)]
