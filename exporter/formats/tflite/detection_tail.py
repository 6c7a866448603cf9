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

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.formats.detection_tail import CATEGORY, LOCATION, NUMBER, SCORE, DetectionTail
from mbexport.formats.tflite.file import opened, packed

OP: Final = b"TFLite_Detection_PostProcess"
# Up to 16 threads forget no class. Measured with 2,892 anchors and 3 classes: 0.1 ms of the 1.3 ms that an int8 network
# of alpha 0.25 at 192 px then takes; each further column takes 0.006 ms.
SPARE_COLUMNS: Final = 17
_NEVER_FORGOTTEN: Final = 2  # classes: one thread, the least that there can be, has no counter
SCALES: Final = ("y_scale", "x_scale", "h_scale", "w_scale")
_CODE: Final = schema.BuiltinOperator
_KIND: Final = schema.TensorType
_KINDS: Final = {"float32": _KIND.FLOAT32, "int32": _KIND.INT32}
_DEQUANTIZE_VERSIONS: Final = {_KIND.UINT8: 1, _KIND.INT8: 2}  # tensorflow/lite/tools/versioning/op_version.cc


def with_detection_tail(content: bytes, tail: DetectionTail) -> bytes:
    """The file of a network for one image, whose signature names the heads of `tail`, with detections as its outputs.

    The heads are float32, int8 or uint8. The outputs are float32: `location`, `category`, `score` and `number of
    detections`, in that order, by these names in the signature. Raises `StageError` where heads are missing, have
    other shapes, or are not of as many places as there are anchors.
    """
    model = opened(content)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    ends = {end.name.decode(): int(end.tensorIndex) for end in signature.outputs}
    _require_heads(tail, {name: graph.tensors[index].shape.tolist() for name, index in ends.items()})
    writer = _Writer(model)
    codes, logits = (
        writer.joined([ends[head[place]] for head in tail.heads], width)
        for place, width in enumerate((4, tail.classes))
    )
    places = len(tail.anchors)
    scores = writer.op(_CODE.LOGISTIC, [logits], (1, places, tail.classes))
    spare = SPARE_COLUMNS if tail.classes > _NEVER_FORGOTTEN else 0
    if spare:
        paddings = writer.constant(np.array([[0, 0], [0, 0], [spare, 0]], np.int32))
        scores = writer.op(_CODE.PAD, [scores, paddings], (1, places, tail.classes + spare))
    found = writer.post_process(tail, codes, scores, columns=tail.classes + spare)
    named = {
        LOCATION: writer.clipped(found[0], low=0, high=1),
        CATEGORY: writer.lowered(found[1], by=spare) if spare else found[1],
        SCORE: found[2],
        NUMBER: found[3],
    }
    graph.outputs = np.array(list(named.values()), np.int32)
    signature.outputs = [end_of(name, index) for name, index in named.items()]
    return packed(model)


def end_of(name: str, tensor: int) -> Any:
    """What a signature calls a tensor."""
    end = schema.TensorMapT()
    end.name, end.tensorIndex = name.encode(), tensor
    return end


def _require_heads(tail: DetectionTail, shapes: Mapping[str, list[int]]) -> None:
    places = 0
    for number, head in enumerate(tail.heads):
        if not shapes.keys() >= set(head):
            raise StageError(f"a detector must have the outputs {', '.join(head)}, got {', '.join(sorted(shapes))}")
        boxes, classes = (shapes[name] for name in head)
        count = boxes[-1] // 4
        if len(boxes) != 4 or [boxes, classes] != [[1, *boxes[1:3], count * width] for width in (4, tail.classes)]:
            raise StageError(
                f"the heads of map {number} must be (1, h, w, k * 4) and (1, h, w, k * {tail.classes}), "
                f"got {boxes} and {classes}"
            )
        places += boxes[1] * boxes[2] * count
    if places != len(tail.anchors):
        raise StageError(f"the heads must have a place for each of {len(tail.anchors)} anchors, got {places}")


class _Writer:
    """Adds constants and ops to the one network of a ModelT; a tensor is known by its index."""

    def __init__(self, model: Any) -> None:
        self._model = model
        (self._graph,) = model.subgraphs

    def joined(self, heads: Sequence[int], width: int) -> int:
        """The heads of all maps as floats (1, n, width)."""
        rows = [self._rows(index, width) for index in heads]
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        places = sum(int(self._graph.tensors[index].shape[1]) for index in rows)
        return self.op(_CODE.CONCATENATION, rows, (1, places, width), options=options)

    def clipped(self, tensor: int, *, low: float, high: float) -> int:
        shape = self._graph.tensors[tensor].shape
        least, most = (self.constant(np.array(end, np.float32)) for end in (low, high))
        raised = self.op(_CODE.MAXIMUM, [tensor, least], shape, options=schema.MaximumMinimumOptionsT())
        return self.op(_CODE.MINIMUM, [raised, most], shape, options=schema.MaximumMinimumOptionsT())

    def lowered(self, tensor: int, *, by: int) -> int:
        """The numbers less `by`, and 0 for those that were below."""
        shape = self._graph.tensors[tensor].shape
        step, zero = (self.constant(np.array(value, np.float32)) for value in (by, 0))
        less = self.op(_CODE.SUB, [tensor, step], shape, options=schema.SubOptionsT())
        return self.op(_CODE.MAXIMUM, [less, zero], shape, options=schema.MaximumMinimumOptionsT())

    def post_process(self, tail: DetectionTail, codes: int, scores: int, *, columns: int) -> list[int]:
        """The four outputs of the op for codes (1, n, 4) and scores (1, n, columns)."""
        most = tail.settings.max_detections
        op = self._op([codes, scores, self.constant(tail.anchors)], [(1, most, 4), (1, most), (1, most), (1,)])
        op.opcodeIndex = self._opcode(_CODE.CUSTOM, 1, OP)
        op.customOptions = np.frombuffer(_options(tail, columns), np.uint8)
        return [int(index) for index in op.outputs]

    def op(self, code: int, inputs: Sequence[int], shape: Sequence[int], *, options: Any = None) -> int:
        """The float32 output of one of TFLite's own ops."""
        op = self._op(inputs, [shape])
        version = _DEQUANTIZE_VERSIONS[self._graph.tensors[inputs[0]].type] if code == _CODE.DEQUANTIZE else 1
        op.opcodeIndex = self._opcode(code, version, None)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            op.builtinOptions, op.builtinOptionsType = options, getattr(schema.BuiltinOptions, kind)
        return int(op.outputs[0])

    def constant(self, values: NDArray[Any]) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return self._tensor(values.shape, kind=_KINDS[values.dtype.name], buffer=len(self._model.buffers) - 1)

    def _rows(self, head: int, width: int) -> int:
        """One head as floats (1, n, width)."""
        tensor = self._graph.tensors[head]
        shape = (1, int(np.prod(tensor.shape)) // width, width)
        if tensor.type != _KIND.FLOAT32:
            head = self.op(_CODE.DEQUANTIZE, [head], tensor.shape)
        return self.op(_CODE.RESHAPE, [head, self.constant(np.array(shape, np.int32))], shape)

    def _op(self, inputs: Sequence[int], shapes: Sequence[Sequence[int]]) -> Any:
        op = schema.OperatorT()
        op.inputs = np.array(inputs, np.int32)
        op.outputs = np.array([self._tensor(shape) for shape in shapes], np.int32)
        self._graph.operators.append(op)
        return op

    def _tensor(self, shape: Sequence[int], *, kind: int = _KIND.FLOAT32, buffer: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = b"", kind, buffer
        tensor.shape = np.array(shape, np.int32)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _opcode(self, builtin: int, version: int, custom: bytes | None) -> int:
        codes = self._model.operatorCodes
        for index, code in enumerate(codes):
            if (code.builtinCode, code.version, code.customCode) == (builtin, version, custom):
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.version, code.customCode = builtin, version, custom
        code.deprecatedBuiltinCode = min(builtin, _CODE.PLACEHOLDER_FOR_GREATER_OP_CODES)
        codes.append(code)
        return len(codes) - 1


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
