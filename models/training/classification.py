"""Define what a classifier learns: images with labels or a teacher's scores, the loss, and how it is evaluated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.best_epoch import mean_evaluation
from mbexport.models.training.objective import Evaluation, Stream
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings, training_steps

_BATCH: Final = 32
_LEAST: Final = np.finfo(np.float32).tiny  # a probability of zero has no logarithm
_LEAST_SIGMOID: Final = 1e-7  # Keras' epsilon: its binary cross-entropy clips to the same distance from 0 and 1

Scores = NDArray[np.float64]
AsInput = Callable[[Any], Any]  # float32 pixels 0..255 to the input of the network

# The loss against a teacher's scores by their kind: the Kullback-Leibler divergence plus a constant, or a distance.
_TEACHER_LOSSES: Final = MappingProxyType(
    {
        Output.SOFTMAX: "categorical_crossentropy",
        Output.SIGMOID: "binary_crossentropy",
        Output.LOGITS: "mean_squared_error",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassObjective:
    """The objective of a training: images, their conversion to inputs, and the targets.

    With a `teacher` the targets are its scores for the same input (Hinton et al. 2015, arXiv 1503.02531, at
    temperature 1), of the kind `output`, and the metric "agreement" is the share of images for which both have the
    same top class. Without one the targets are the labels, and `label_smoothing` is the share of probability that is
    spread over all classes (Szegedy et al. 2016, arXiv 1512.00567, section 7). `class_weights` (one for each class,
    float32) multiply the loss.

    With `validation` images the mean accuracy and loss of the last `averaged_epochs` rate an epoch; the weights of
    the best one are kept, and training stops after `patience` epochs without a better one. With a teacher the loss
    alone decides, and the best weights may be those that the training started from.
    """

    images: ImageSet
    preprocess: Preprocess
    as_input: AsInput
    teacher: tf_keras.Model | None = None
    output: Output = Output.SOFTMAX
    class_weights: NDArray[np.float32] | None = None
    label_smoothing: float = 0.0
    validation: ImageSet | None = None
    averaged_epochs: int = 1
    patience: int = 0

    @property
    def stored_as(self) -> Preprocess:
        """The whole images at the network's scale: augmentation may move what lies around the crop into the picture."""
        return self.preprocess.uncropped

    @property
    def has_held_out(self) -> bool:
        """Whether there are validation images."""
        return self.validation is not None

    @property
    def may_keep_start(self) -> bool:
        """Whether the weights at the start are a candidate: those of a student, which is to answer as its teacher."""
        return self.teacher is not None

    def compile_options(self) -> dict[str, Any]:
        """The loss and the metric, as arguments of Keras' `compile`."""
        if self.teacher is not None:
            agreement = tf_keras.metrics.CategoricalAccuracy(name="agreement")
            return {"loss": _TEACHER_LOSSES[self.output], "metrics": [agreement]}
        loss = "categorical_crossentropy" if self.label_smoothing else "sparse_categorical_crossentropy"
        return {"loss": loss, "metrics": ["accuracy"]}

    def stream(self, model: tf_keras.Model, settings: TrainSettings, store: PixelStore | None) -> Stream:
        """The batches of any steps. Raises `ValueError` for mixed images without a teacher: a mix has no label."""
        if settings.augmentation.mixes and self.teacher is None:
            raise ValueError("augmentation that mixes images needs a teacher, got none")
        example = tf.function(as_example(self, int(model.output_shape[-1])))  # traced once for all epochs

        def batches(steps: range) -> Any:
            return training_steps(
                self.images, self.stored_as, settings, steps=steps, store=store, output=self.preprocess.resolution
            ).map(example)

        return batches

    def evaluated(self, model: tf_keras.Model) -> dict[str, float]:
        """The loss and the accuracy on the validation images. Raises `ValueError` without any."""
        if self.validation is None:
            raise ValueError("the objective must have images to judge by")
        found = evaluate(model, self, self.validation)
        return {"val_loss": found.loss, "val_accuracy": found.accuracy}

    def rated(self, history: Sequence[Mapping[str, float]]) -> Evaluation:
        """The mean of the last `averaged_epochs`."""
        return mean_evaluation(history[-self.averaged_epochs :], accuracy="val_accuracy")

    def is_better(self, found: Evaluation, best: Evaluation) -> bool:
        """Whether accuracy is higher, or equal with a lower loss.

        With a teacher the loss alone decides: on few images agreement jumps, while divergence does not.
        """
        if self.teacher is not None:
            return found.loss < best.loss
        return (found.accuracy, -found.loss) > (best.accuracy, -best.loss)


def as_example(objective: ClassObjective, classes: int) -> Callable[[Any, Any], Any]:
    """A function from float32 pixels (n, h, w, channels) and int64 labels (n,) to the arguments of Keras' `fit`."""

    def example(pixels: Any, labels: Any) -> Any:
        inputs = objective.as_input(pixels)
        target = (
            objective.teacher(inputs, training=False)
            if objective.teacher
            else _smoothed(labels, objective.label_smoothing, classes)
        )
        if objective.class_weights is None:
            return inputs, target
        return inputs, target, tf.gather(tf.constant(objective.class_weights), labels)

    return example


def _smoothed(labels: Any, share: float, classes: int) -> Any:
    if not share:
        return labels
    right = tf.one_hot(labels, classes)
    return right * (1 - share) + share / classes


def evaluate(model: tf_keras.Model, objective: ClassObjective, images: ImageSet) -> Evaluation:
    """Evaluate `model` on `images`, without augmentation, against their labels or the teacher's scores."""
    loss, hits, done = 0.0, 0, 0
    for pixels in iter_pixels(images, objective.preprocess, batch=_BATCH):
        inputs = objective.as_input(pixels.astype(np.float32))
        scores = np.asarray(model.predict_on_batch(inputs), np.float64)
        if objective.teacher is None:
            target = np.eye(scores.shape[1])[images.labels[done : done + len(pixels)]]
            loss -= float((target * np.log(np.maximum(scores, _LEAST))).sum())
        else:
            target = np.asarray(objective.teacher.predict_on_batch(inputs), np.float64)
            loss += float(divergences(target, scores, objective.output).sum())
        hits += int((scores.argmax(axis=1) == target.argmax(axis=1)).sum())
        done += len(pixels)
    return Evaluation(loss=loss / done, accuracy=hits / done)


def divergences(expected: Scores, found: Scores, output: Output) -> Scores:
    """The distance of each row of `found` from that of `expected`, both (n, classes): float64 (n,), 0 for equal rows.

    The Kullback-Leibler divergence in nats for a softmax; for sigmoids that of each class by itself, and for logits
    the squared error, both averaged over the classes.
    """
    if output is Output.LOGITS:
        return np.asarray(np.square(expected - found).mean(axis=1))
    if output is Output.SIGMOID:
        p, q = (np.clip(scores, _LEAST_SIGMOID, 1 - _LEAST_SIGMOID) for scores in (expected, found))
        return np.asarray((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(axis=1))
    p, q = (np.maximum(scores, _LEAST) for scores in (expected, found))
    return np.asarray((expected * (np.log(p) - np.log(q))).sum(axis=1))
