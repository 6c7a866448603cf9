"""Take the detection tail off an .onnx again: the network alone, and the settings of what was behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from mbexport.errors import StageError
from mbexport.formats.detection_tail import DetectionTail
from mbexport.formats.onnx.passes.graph import constants_of, drop_unused, producers_of, replace_uses
from mbexport.formats.onnx.structure import with_shapes
from mbexport.models.detection.settings import PostProcess


def without_detection_tail(content: bytes) -> bytes:
    """The network of a file that ends in our detection tail: float32 heads `boxes_i` and `classes_i`, map by map.

    Raises `StageError` for another file.
    """
    model = onnx.ModelProto.FromString(content)
    found = _Tail.of(model)
    if found is None:
        raise StageError("the .onnx must end in a detection tail as it is appended here, got another end")
    inferred = with_shapes(model)
    types = {value.name: value.type for value in inferred.graph.value_info}
    makers = producers_of(model)
    del model.graph.output[:]
    for kind, heads in (("boxes", found.boxes), ("classes", found.classes)):
        for number, head in enumerate(heads):
            name = f"{kind}_{number}"
            replace_uses(model, head, name)
            makers[head].output[:] = [name if each == head else each for each in makers[head].output]
            model.graph.output.append(helper.make_value_info(name, types[head]))
    drop_unused(model)
    alone: bytes = model.SerializeToString(deterministic=True)
    return alone


def detection_tail_of(content: bytes) -> DetectionTail | None:
    """The tail of a file that ends in ours; None for any other."""
    model = onnx.ModelProto.FromString(content)
    found = _Tail.of(model)
    if found is None:
        return None
    constants = constants_of(model)
    most, overlap, score = (constants[name].item() for name in found.limits)
    y, x, height, width = constants[found.scales].tolist()
    shapes = {value.name: value for value in with_shapes(model).graph.value_info}
    logits = shapes[found.logits].type.tensor_type.shape.dim
    return DetectionTail(
        anchors=constants[found.anchors],
        code_scales=(y, x, height, width),
        classes=logits[-1].dim_value,
        settings=PostProcess(
            score_threshold=_shortest(np.nextafter(np.float32(score), np.float32(1))),
            iou_threshold=_shortest(np.float32(overlap)),
            max_detections=most,
        ),
        maps=len(found.boxes),
    )


def _shortest(value: np.float32) -> float:
    """The number with the fewest digits that is stored as `value`: 0.01, not 0.009999999776482582."""
    return float(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """The names of the tensors that the tail reads, and of its constants.

    `limits` are how many boxes it finds at most, the threshold of their overlap, and that of their score.
    """

    boxes: Sequence[str]
    classes: Sequence[str]
    logits: str
    anchors: str
    scales: str
    limits: Sequence[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "_Tail | None":
        """The tail in a file; None for one that does not end in it."""
        makers = producers_of(model)

        def back(name: str, *path: tuple[str, int]) -> str:
            """What is read by the op that makes a tensor, and so on: the ops' kinds, and which input. Or nothing."""
            for kind, place in path:
                node = makers.get(name)
                if node is None or node.op_type != kind or len(node.input) <= place:
                    return ""
                name = node.input[place]
            return name

        def rows(joined: str) -> list[str]:
            node = makers.get(joined)
            return [back(row, ("Reshape", 0)) for row in node.input] if node and node.op_type == "Concat" else []

        suppressions = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
        if len(suppressions) != 1 or len(suppressions[0].input) != 5:
            return None
        corners, scores, *limits = suppressions[0].input
        centre = back(corners, ("Concat", 0), ("Sub", 0), ("Cast", 0))
        scaled = back(centre, ("Add", 0), ("Mul", 0), ("Split", 0))
        logits = back(scores, ("Transpose", 0), ("Sigmoid", 0))
        found = cls(
            boxes=rows(back(scaled, ("Div", 0), ("Cast", 0))),
            classes=rows(logits),
            logits=logits,
            anchors=back(centre, ("Add", 1), ("Split", 0), ("Cast", 0)),
            scales=back(scaled, ("Div", 1)),
            limits=limits,
        )
        stored = {tensor.name for tensor in model.graph.initializer}
        is_whole = "" not in (*found.boxes, *found.classes) and stored >= {found.anchors, found.scales, *limits}
        return found if is_whole and found.boxes and len(found.boxes) == len(found.classes) else None
