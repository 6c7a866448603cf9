"""How far a quantized detector's answers are from float's, anchor by anchor: what all of calibration goes by.

A detector gives a score for each class and the codes of a box at thousands of places, its anchors, of which an app
shows a few. A squared error of all of them says nothing of these: where nothing is, a logit is as good at -12 as at -8.

What both networks say is a distribution, and how far one is from the other its Kullback-Leibler divergence, summed over
the anchors of an image: at each anchor each class is there or not, by its score. Scores below the least that counts as
a detection say the same: nothing. Without that a range of logits that begins at -6, where a score is 0.2 %, is twenty
times as far from float as the range of all logits, since thousands of anchors of the background are then at 0.2 %; and
it keeps more detections, since its codes are finer (measured on photos of blood cells, with a map whose logits begin
at -30).

Codes count where a box may be shown, by float's highest score at the anchor: the squared distance of each of its four
edges from float's, as a fraction of the side, if the box is as large as its anchor. By code scales of 10 and 5 an error
of 1 in any of the four codes moves two edges by a tenth each, so that all count alike. An edge of a box of score 0.5
that is a tenth off costs what a score does that is 0.05 off. Both parts then cost as they should: of detections that
rounding loses, by far the most are lost because of scores, where another one of two neighbours becomes the higher one.

Functions take and give float tensors of TensorFlow, and take arrays; `answers` are (n, anchors, 4 + classes), the codes
of each anchor and then its logits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.models.detection.heads import Heads
from mbexport.models.detection.settings import PostProcess

CODES: Final = 4  # of a box
_SHOWN: Final = 0.3  # the least score that apps usually show
_SHOWN_LOGIT: Final = math.log(_SHOWN / (1 - _SHOWN))
_ALIKE: Final = 0.9  # the least intersection over union of boxes that look the same

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorMeasure:
    """The measure for a detection network with the outputs `heads`. Scores below `least_score` are no detections."""

    heads: Heads
    least_score: float = PostProcess().score_threshold

    def joined(self, outputs: Mapping[str, Any]) -> Any:
        """The answers (n, anchors, 4 + classes) of a network with these `outputs`, by name."""
        maps = []
        for (boxes, classes), each in zip(self.heads.names, self.heads.anchors, strict=True):
            columns = outputs[classes].shape[-1] // each
            parts = [_rows(outputs[boxes], CODES), _rows(outputs[classes], columns)]
            maps.append(tf.concat(parts, axis=-1))
        return tf.concat(maps, axis=1)

    def mean_divergence(self, expected: Any, found: Any) -> Any:
        """The divergence of all images, in nats for each box that float shows: a scalar.

        So that images with many objects are not further from float than those with few.
        """
        boxes = tf.maximum(tf.reduce_sum(self.boxes(expected)), 1.0)
        return tf.reduce_sum(self.divergences(expected, found)) / tf.cast(boxes, expected.dtype)

    def boxes(self, answers: Any) -> Any:
        """How many boxes of each image are shown, one for each anchor and class with a score of 0.3: float32 (n,)."""
        return tf.reduce_sum(tf.cast(answers[..., CODES:] >= _SHOWN_LOGIT, tf.float32), axis=[1, 2])

    def divergences(self, expected: Any, found: Any) -> Any:
        """How far the answers `found` for each image are from those `expected`, in nats: (n,), 0 for equal ones."""
        scores = tf.reduce_sum(self.score_divergences(expected[..., CODES:], found[..., CODES:]), axis=[1, 2])
        edges = tf.square(expected[..., :CODES] - found[..., :CODES]) * tf.cast(self.code_weights, expected.dtype)
        boxes = tf.reduce_sum(edges, axis=-1) * self.shares_of_boxes(expected[..., CODES:])
        return scores + tf.reduce_sum(boxes, axis=1)

    def score_divergences(self, expected: Any, found: Any) -> Any:
        """The same of each logit by itself, of the same shape as both."""
        least = tf.constant(self.least_logit, expected.dtype)
        given = tf.maximum(expected, least)
        # Where there is something, a logit that fell below the least must still be drawn up to it.
        made = tf.where(expected > least, found, tf.maximum(found, least))
        return tf.sigmoid(given) * (given - made) + tf.math.softplus(made) - tf.math.softplus(given)

    def shares_of_boxes(self, logits: Any) -> Any:
        """How much the codes at each anchor count, by its `logits` (..., classes) in float: (...)."""
        highest = tf.reduce_max(logits, axis=-1)
        return tf.where(highest > tf.constant(self.least_logit, logits.dtype), tf.sigmoid(highest), 0.0)

    @property
    def least_logit(self) -> float:
        """The logit of the least score."""
        return math.log(self.least_score / (1 - self.least_score))

    @property
    def code_weights(self) -> Array:
        """What the square of an error in each code weighs, (4,): that of the edges that it moves.

        A centre that is off moves two edges by as much, a side that is longer moves each of two by half of it.
        """
        return np.array([2, 2, 0.5, 0.5]) / np.square(self.heads.code_scales)

    def drawn(self, answers: Any, noise: Any) -> Any:
        """A scalar whose gradient by `answers` has, squared, twice the second-order term of the divergence as mean.

        `noise`, of the same shape, lies evenly between 0 and 1: it draws of each class whether it is there, and of
        each code to which side it is off.
        """
        codes, logits = answers[..., :CODES], answers[..., CODES:]
        known = tf.stop_gradient(logits)
        is_there = tf.cast(noise[..., CODES:] < tf.sigmoid(known), logits.dtype)
        likely = is_there * logits - tf.math.softplus(logits)
        counted = tf.where(known > self.least_logit, likely, 0.0)
        weights = tf.sqrt(2 * self.shares_of_boxes(known)[..., None] * tf.cast(self.code_weights, codes.dtype))
        return tf.reduce_sum(counted) + tf.reduce_sum(codes * weights * tf.sign(noise[..., :CODES] - 0.5))

    def shown(self, expected: Any, found: Any) -> tuple[Array, Array]:
        """How many boxes of each image either network shows, and how many of these both do: (n,) each.

        A box of an anchor and a class is shown with a score of 0.3, and by both if the two overlap by 0.9 at least,
        before any is left out for its neighbours.
        """
        one, other = (np.asarray(values, np.float64) for values in (expected, found))
        is_shown = [values[..., CODES:] >= _SHOWN_LOGIT for values in (one, other)]
        either, both = is_shown[0] | is_shown[1], is_shown[0] & is_shown[1]
        alike = self._overlaps(one[..., :CODES], other[..., :CODES]) >= _ALIKE
        return either.sum(axis=(1, 2)).astype(np.float64), (both & alike[..., None]).sum(axis=(1, 2)).astype(np.float64)

    def _overlaps(self, one: Array, other: Array) -> Array:
        """The intersection over union of two boxes of the same anchor, by their codes (..., 4): (...)."""
        sides = [self._sides(codes) for codes in (one, other)]
        (low, high), (other_low, other_high) = sides
        shared = np.prod(np.maximum(np.minimum(high, other_high) - np.maximum(low, other_low), 0), axis=-1)
        areas = [np.prod(ends[1] - ends[0], axis=-1) for ends in sides]
        return np.asarray(shared / (areas[0] + areas[1] - shared))

    def _sides(self, codes: Array) -> tuple[Array, Array]:
        """Where the sides of boxes begin and end, in units of their anchors': (..., 2) of y and x each."""
        scaled = codes / np.asarray(self.heads.code_scales)
        half = np.exp(np.clip(scaled[..., 2:], -_WIDEST, _WIDEST)) / 2
        return scaled[..., :2] - half, scaled[..., :2] + half


_WIDEST: Final = 50.0  # of the logarithm of a side: beyond, its square would overflow


def _rows(output: Any, columns: int) -> Any:
    """The output of a map (n, h, w, anchors * columns) with a row for each anchor: (n, h * w * anchors, columns)."""
    return tf.reshape(output, [-1, math.prod(output.shape[1:]) // columns, columns])
