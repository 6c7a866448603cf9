"""Define what a network learns: images with labels or a teacher's scores, and the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.models.data.open import ImageSet
from mbexport.models.facts import Output
from mbexport.models.preprocess import Preprocess

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
class Objective:
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


def compile_options(objective: Objective) -> dict[str, Any]:
    """The loss and the metric, as arguments of Keras' `compile`."""
    if objective.teacher is not None:
        agreement = tf_keras.metrics.CategoricalAccuracy(name="agreement")
        return {"loss": _TEACHER_LOSSES[objective.output], "metrics": [agreement]}
    loss = "categorical_crossentropy" if objective.label_smoothing else "sparse_categorical_crossentropy"
    return {"loss": loss, "metrics": ["accuracy"]}


def as_example(objective: Objective, classes: int) -> Callable[[Any, Any], Any]:
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
