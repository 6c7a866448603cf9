"""The outputs of a detection network as detections: what `TFLite_Detection_PostProcess` does, in numpy.

The op's regular mode is followed step by step (tensorflow/lite/kernels/detection_postprocess.cc), so that the network,
a .tflite that ends in the op and its .onnx twin find the same boxes in the same order. Where scores are equal the lower
class comes first, and of one class the earlier anchor.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.anchors import decode
from mbexport.models.detection.boxes import Centers, Corners, Detections, clipped
from mbexport.models.detection.settings import PostProcess

Floats = NDArray[np.float32]
CodeScales = tuple[float, float, float, float]  # of y, x, height, width


def detect(
    codes: Floats, scores: Floats, anchors: Centers, code_scales: CodeScales, settings: PostProcess
) -> Detections:
    """The objects of one image, from `codes` (n, 4) ty, tx, th, tw and `scores` (n, classes) at `anchors` (n, 4).

    Scores are 0 to 1, and one that is no number is no detection. Boxes are cut off at the image's border at the end:
    how much two overlap is asked of whole ones.
    """
    corners = decode(anchors, codes, code_scales)
    kept = [_suppressed(corners, column, settings) for column in scores.T]
    places = np.concatenate([np.zeros(0, np.int64), *kept])
    classes = np.repeat(np.arange(len(kept)), [len(each) for each in kept])
    found = scores[places, classes]
    best = np.argsort(-found, kind="stable")[: settings.max_detections]
    return Detections.of(clipped(corners[places[best]]), classes[best], found[best])


def detect_batch(
    outputs: Sequence[NDArray[Any]], anchors: Centers, code_scales: CodeScales, settings: PostProcess
) -> tuple[Detections, ...]:
    """The objects of each image of a batch, from the core network's outputs as `flattened` takes them."""
    codes, logits = flattened(outputs)
    scores = sigmoid(logits)
    return tuple(
        detect(own, certain, anchors, code_scales, settings) for own, certain in zip(codes, scores, strict=True)
    )


def flattened(outputs: Sequence[NDArray[Any]]) -> tuple[Floats, Floats]:
    """Codes (batch, n, 4) and logits (batch, n, classes) of all n anchors, in their order.

    `outputs` are those of the core network: of each map the codes (batch, h, w, anchors * 4), then the logits
    (batch, h, w, anchors * classes).
    """
    codes, logits = [np.asarray(each, np.float32) for each in outputs[::2]], []
    for own, certain in zip(codes, outputs[1::2], strict=True):
        classes = certain.shape[-1] * 4 // own.shape[-1]
        logits.append(np.asarray(certain, np.float32).reshape(len(own), -1, classes))
    return np.concatenate([own.reshape(len(own), -1, 4) for own in codes], axis=1), np.concatenate(logits, axis=1)


def sigmoid(logits: Floats) -> Floats:
    """What logits say, in 0..1; none is so large that its exponential overflows."""
    power = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1 / (1 + power), power / (1 + power)).astype(np.float32)


def _suppressed(corners: Corners, scores: Floats, settings: PostProcess) -> NDArray[np.int64]:
    """The places of one class's detections, best first: each overlaps with none before it by more than is allowed."""
    candidates = np.flatnonzero(scores >= np.float32(settings.score_threshold))
    left = candidates[np.argsort(-scores[candidates], kind="stable")]
    kept: list[Any] = []
    while len(left) and len(kept) < settings.max_detections:
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[~(_overlap(corners[best], corners[left]) > np.float32(settings.iou_threshold))]
    return np.array(kept, np.int64)


def _overlap(box: Floats, others: Corners) -> Floats:
    """Intersection over union of one box (4,) with others (n, 4), rounded as the op rounds; 0 without an area."""
    sides = np.minimum(others[:, 2:], box[2:]) - np.maximum(others[:, :2], box[:2])
    shared = np.maximum(sides[:, 0], 0) * np.maximum(sides[:, 1], 0)
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    has_area = (area > 0) & (areas > 0)
    return np.asarray(np.divide(shared, area + areas - shared, out=np.zeros_like(shared), where=has_area))
