"""Join the heads of a detector for an app that makes detections of them itself: for delegates that take no other ops.

    boxes_0, ...   -> QUANTIZE -> RESHAPE (1, n_0, 4) -> CONCATENATION -> QUANTIZE: location (1, n, 4)
    classes_0, ... -> QUANTIZE -> RESHAPE (1, n_0, classes) -> CONCATENATION -> LOGISTIC -> QUANTIZE: score

Each QUANTIZE is for integers alone: heads have scales of their own, and one tensor has one, whose range holds those of
all; the last makes the bytes that MediaPipe reads of int8. Floats stay floats. Loads no TensorFlow.
"""

from collections.abc import Sequence
from typing import Final

from mbexport.calibration.affine import INT8_MAX, INT8_MIN, Affine, Range, activation_affine
from mbexport.formats.detection_tail import RAW_OUTPUTS, DetectionTail
from mbexport.formats.tflite.detection_tail import heads_in
from mbexport.formats.tflite.file import opened, packed
from mbexport.formats.tflite.graph_writer import CODE, KIND, GraphWriter, set_outputs

_PROBABILITIES: Final = Affine(scale=(1 / 256,), zero_point=(INT8_MIN,))  # TFLite quantization specification, LOGISTIC
_BYTE_OFFSET: Final = 128


def with_raw_heads(content: bytes, tail: DetectionTail) -> bytes:
    """The file of a network for one image, whose signature names the heads of `tail`, with all of them in two outputs.

    The heads are float32, or int8. The outputs are `location` (1, n, 4), codes, and `score` (1, n, classes) in 0..1,
    both float32 or uint8. Raises `StageError` where the heads are not those of `tail`.
    """
    model = opened(content)
    writer = GraphWriter(model)
    boxes, classes = heads_in(model, tail)
    codes, logits = (_joined(writer, heads, width) for heads, width in ((boxes, 4), (classes, tail.classes)))
    shape = writer.shape_of(logits)
    if writer.is_float(logits):
        scores = writer.op(CODE.LOGISTIC, [logits], shape)
    else:
        scores = writer.op(CODE.LOGISTIC, [logits], shape, kind=KIND.INT8, affine=_PROBABILITIES)
        codes, scores = _bytes(writer, codes), _bytes(writer, scores)
    set_outputs(model, dict(zip(RAW_OUTPUTS, (codes, scores), strict=True)))
    return packed(model)


def _joined(writer: GraphWriter, heads: Sequence[int], width: int) -> int:
    """The heads of all maps as (1, n, width), with the range that holds all of theirs if these are codes."""
    if not writer.is_float(heads[0]):
        ends = [(affine.scale[0], affine.zero_point[0]) for affine in map(writer.affine_of, heads)]
        low = min((INT8_MIN - zero) * scale for scale, zero in ends)
        high = max((INT8_MAX - zero) * scale for scale, zero in ends)
        affine = activation_affine(Range(low=low, high=high))
        heads = [
            writer.op(CODE.QUANTIZE, [head], writer.shape_of(head), kind=KIND.INT8, affine=affine) for head in heads
        ]
    return writer.joined([writer.rows(head, width) for head in heads])


def _bytes(writer: GraphWriter, codes: int) -> int:
    """The int8 codes as uint8 ones, which stand for the same numbers."""
    affine = writer.affine_of(codes)
    moved = Affine(scale=affine.scale, zero_point=(affine.zero_point[0] + _BYTE_OFFSET,))
    return writer.op(CODE.QUANTIZE, [codes], writer.shape_of(codes), kind=KIND.UINT8, affine=moved)
