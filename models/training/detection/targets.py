"""What each anchor of a detector is to learn of the boxes of an image: which box is its own, if any, and its codes.

Source: Liu et al. 2016, arXiv 1512.02325, section 2.2, "Matching strategy", with the band that is learned neither way
of Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002, section 4.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.detection.boxes import Centers, to_corners
from mbexport.models.training.detection.augment import PADDING
from mbexport.models.training.stream import Targets

# In place of a class in what an anchor learns.
BACKGROUND: Final = -1.0
IGNORED: Final = -2.0
COLUMNS: Final = 5  # of a target: the codes ty, tx, th, tw, and the class
POSITIVE_IOU: Final = 0.5  # from which on a box is an anchor's own
NEGATIVE_IOU: Final = 0.4  # below which an anchor sees the background
_LEAST_SIDE: Final = 1e-8  # as in `encode`


def packed_boxes(boxed: BoxedImages, classes: int) -> Targets:
    """The boxes of each image as float32 (rows, 5): ymin, xmin, ymax, xmax and the class, -1 in rows that are no box.

    All images have as many rows as the one with most boxes. The class of a difficult object is moved up by `classes`,
    beyond those that are learned.
    """
    rows = max(1, *(len(each) for each in boxed.boxes))

    def pack(indices: NDArray[np.int64]) -> NDArray[np.float32]:
        packed = np.zeros((len(indices), rows, COLUMNS), np.float32)
        packed[..., 4] = PADDING
        for row, index in zip(packed, indices, strict=True):
            own = boxed.boxes[index]
            row[: len(own), :4] = own.corners
            row[: len(own), 4] = own.classes + classes * own.is_difficult
        return packed

    return Targets(of=pack, dtype=np.float32, shape=(rows, COLUMNS))


def assigned(boxes: Any, anchors: Centers, table: AnchorTable, classes: int) -> Any:
    """The target of each anchor for a batch of packed boxes (batch, rows, 5): float32 (batch, anchors, 5).

    An anchor's own box is the one that it overlaps most, from an intersection over union of 0.5 on; and each box has at
    least one anchor, that which overlaps it most. The others learn that there is nothing, but for those from 0.4 on,
    and those whose own box is difficult, which learn nothing. Codes are zero where there is no box.
    """
    # An image at a time: overlaps of all boxes and anchors of a batch would take much memory.
    form = tf.TensorSpec((len(anchors), COLUMNS), tf.float32)
    return tf.map_fn(lambda own: _assigned(own, anchors, table, classes), boxes, fn_output_signature=form)


def _assigned(boxes: Any, anchors: Centers, table: AnchorTable, classes: int) -> Any:
    corners, labels = boxes[:, :4], boxes[:, 4]
    is_box, is_difficult = labels >= 0, labels >= classes
    overlaps = tf.where(is_box[:, None], _overlaps(corners, tf.constant(to_corners(anchors))), -1.0)  # (rows, anchors)
    # The best anchor of each box, where two boxes have the same that of the one which it overlaps more.
    best = tf.one_hot(tf.argmax(overlaps, axis=1), len(anchors), on_value=True, off_value=False)
    is_forced = best & (is_box & ~is_difficult)[:, None]
    ranked = tf.where(is_forced, overlaps + 2, overlaps)
    own, rank = tf.argmax(ranked, axis=0), tf.reduce_max(ranked, axis=0)
    label = tf.gather(labels, own)
    has_box = rank >= POSITIVE_IOU
    learned = tf.where(has_box, tf.where(label >= classes, IGNORED, label), BACKGROUND)
    learned = tf.where(~has_box & (rank >= NEGATIVE_IOU), IGNORED, learned)
    codes = _codes(tf.gather(corners, own), anchors, table)
    return tf.concat([tf.where((learned >= 0)[:, None], codes, 0.0), learned[:, None]], axis=1)


def _overlaps(boxes: Any, anchors: Any) -> Any:
    """Intersection over union of boxes (n, 4) and anchors (m, 4): float32 (n, m), 0 where both have no area."""
    one, other = boxes[:, None], anchors[None]
    sides = [
        tf.maximum(
            tf.minimum(one[..., 2 + axis], other[..., 2 + axis]) - tf.maximum(one[..., axis], other[..., axis]), 0
        )
        for axis in (0, 1)
    ]
    shared = sides[0] * sides[1]
    areas = [(each[..., 2] - each[..., 0]) * (each[..., 3] - each[..., 1]) for each in (one, other)]
    return tf.math.divide_no_nan(shared, areas[0] + areas[1] - shared)


def _codes(boxes: Any, anchors: Centers, table: AnchorTable) -> Any:
    """`encode` for tensors: the codes of boxes (n, 4), each from its anchor."""
    middle, own = tf.constant(anchors[:, :2]), tf.constant(anchors[:, 2:])
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, tf.maximum(boxes[:, 2:] - boxes[:, :2], _LEAST_SIDE)
    codes = tf.concat([(centre - middle) / own, tf.math.log(sides / own)], axis=1)
    return codes * tf.constant(table.code_scales, tf.float32)
