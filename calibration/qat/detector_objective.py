"""Define what a quantized detector learns: the answers of the float one, whatever is in the image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras

from mbexport.calibration.detector_measure import CODES, DetectorMeasure
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.best_epoch import mean_evaluation
from mbexport.models.training.objective import Evaluation, Stream
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings, training_steps

_layers = tf_keras.layers
_BATCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorObjective:
    """The objective of a distillation: `images`, and the answers of the float network `teacher` to the same input.

    Both networks take what `preprocess` dequantizes; the student is one that `with_joined_heads` made. The loss is the
    `detector`'s mean divergence, and so is that of the `held_out` images, which alone rates an epoch: the weights of
    the best one are kept, which may be those that the training started from. The accuracy is the share of the boxes
    that either network shows which both do.
    """

    images: ImageSet
    preprocess: Preprocess
    teacher: tf_keras.Model
    detector: DetectorMeasure
    held_out: ImageSet
    patience: int

    @property
    def stored_as(self) -> Preprocess:
        """The network's own input: all of each image."""
        return self.preprocess.uncropped

    @property
    def has_held_out(self) -> bool:
        """Always: the best epoch is chosen."""
        return True

    @property
    def may_keep_start(self) -> bool:
        """Always: the weights at the start are a candidate."""
        return True

    def compile_options(self) -> dict[str, Any]:
        """The loss, as an argument of Keras' `compile`."""
        return {"loss": self.detector.mean_divergence}

    def stream(self, model: tf_keras.Model, settings: TrainSettings, store: PixelStore | None) -> Stream:  # noqa: ARG002
        """The batches of any steps: inputs of both networks, and the teacher's answers."""
        example = tf.function(lambda pixels, _: self._example(pixels))  # traced once for all epochs

        def batches(steps: range) -> Any:
            return training_steps(
                self.images, self.stored_as, settings, steps=steps, store=store, output=self.preprocess.resolution
            ).map(example)

        return batches

    def _example(self, pixels: Any) -> tuple[Any, Any]:
        inputs = self.preprocess.dequantize_floats(pixels)
        return inputs, self._expected(self.teacher(inputs, training=False))

    def _expected(self, outputs: Sequence[Any]) -> Any:
        return self.detector.joined(dict(zip(self.teacher.output_names, outputs, strict=True)))

    def evaluated(self, model: tf_keras.Model) -> dict[str, float]:
        """The divergence and the accuracy on the held-out images."""
        divergence, boxes, shown = 0.0, 0.0, np.zeros(2)
        for pixels in iter_pixels(self.held_out, self.preprocess, batch=_BATCH):
            inputs = self.preprocess.dequantize(pixels)
            answers = (self._expected(self.teacher.predict_on_batch(inputs)), model.predict_on_batch(inputs))
            expected, found = (tf.cast(each, tf.float64) for each in answers)
            divergence += float(tf.reduce_sum(self.detector.divergences(expected, found)))
            boxes += float(tf.reduce_sum(self.detector.boxes(expected)))
            shown += [each.sum() for each in self.detector.shown(expected, found)]
        either, both = shown.tolist()
        return {"val_loss": divergence / max(boxes, 1.0), "val_accuracy": both / either if either else 1.0}

    def rated(self, history: Sequence[Mapping[str, float]]) -> Evaluation:
        """What the last epoch is worth."""
        return mean_evaluation(history[-1:], accuracy="val_accuracy")

    def is_better(self, found: Evaluation, best: Evaluation) -> bool:
        """Whether the divergence is less: boxes that are shown jump with scores near a limit."""
        return found.loss < best.loss


def with_joined_heads(network: tf_keras.Model, detector: DetectorMeasure, *, names: Sequence[str]) -> tf_keras.Model:
    """The network whose one output are the answers of the `detector`: (n, anchors, 4 + classes) float32.

    `names` are those that its outputs have in the float network. The weights are shared.
    """
    outputs = dict(zip(names, network.outputs, strict=True))
    maps = []
    for (boxes, classes), each in zip(detector.heads.names, detector.heads.anchors, strict=True):
        columns = outputs[classes].shape[-1] // each
        parts = [_anchors_of(outputs[boxes], CODES, name=boxes), _anchors_of(outputs[classes], columns, name=classes)]
        maps.append(_layers.Concatenate(axis=-1, name=f"{boxes}_and_{classes}")(parts))
    answers = maps[0] if len(maps) == 1 else _layers.Concatenate(axis=1, name="answers")(maps)
    return tf_keras.Model(network.input, answers, name=network.name)


def _anchors_of(x: Any, columns: int, *, name: str) -> Any:
    """A map (n, h, w, anchors * columns) with a row for each anchor: (n, h * w * anchors, columns)."""
    return _layers.Reshape((math.prod(x.shape[1:]) // columns, columns), name=f"{name}_rows")(x)
