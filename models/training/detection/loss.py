"""The loss of a detector: focal loss of the scores, and Huber loss of the codes of boxes.

Sources: Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002, equation 5 and section 4; Girshick
2015, "Fast R-CNN", arXiv 1504.08083, equation 3 for the "smooth L1" of codes.
"""

import math
from typing import Any, Final

import tensorflow as tf

from mbexport.models.training.detection.targets import IGNORED

PRIOR: Final = 0.01  # of every class at the start: else the many anchors of the background would drown all others
PRIOR_BIAS: Final = -math.log((1 - PRIOR) / PRIOR)
_ALPHA: Final = 0.25  # the weight of objects, 1 - alpha that of background: the paper's best pair with gamma
_GAMMA: Final = 2.0
_HUBER_DELTA: Final = 1.0  # of scaled codes: a tenth of the anchor's side, or a fifth of its logarithm


def detection_loss(targets: Any, outputs: Any) -> Any:
    """The loss of a batch, a scalar: of `assigned` targets (batch, n, 5) and outputs (batch, n, 4 + classes).

    The outputs are codes, then logits. Both losses are summed over the anchors that learn something, that of codes over
    those with a box, and divided by the number of these in the batch.
    """
    codes, learned = targets[..., :4], targets[..., 4]
    has_box = learned >= 0
    scores = tf.where((learned > IGNORED)[..., None], focal_loss(learned, outputs[..., 4:]), 0.0)
    boxes = tf.where(has_box[..., None], huber_loss(codes, outputs[..., :4]), 0.0)
    count = tf.reduce_sum(tf.cast(has_box, tf.float32))
    return (tf.reduce_sum(scores) + tf.reduce_sum(boxes)) / tf.maximum(count, 1.0)


def focal_loss(learned: Any, logits: Any) -> Any:
    """The focal loss of each score, float32 (..., classes); the class is `learned` (...), none where it is negative."""
    right = tf.one_hot(tf.cast(learned, tf.int32), logits.shape[-1])
    missed = tf.abs(right - tf.sigmoid(logits))  # 1 - p of the right answer
    weight = _ALPHA * right + (1 - _ALPHA) * (1 - right)
    return weight * missed**_GAMMA * tf.nn.sigmoid_cross_entropy_with_logits(labels=right, logits=logits)


def huber_loss(expected: Any, found: Any) -> Any:
    """Half the square of each difference up to 1, and beyond it what grows as the difference does."""
    difference = tf.abs(expected - found)
    near = tf.minimum(difference, _HUBER_DELTA)
    return near * (difference - near / 2)
