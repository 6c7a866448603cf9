"""Evaluate a network on held-out images, and keep the weights of the best epoch."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.facts import Output
from mbexport.models.training.checkpoint import Progress
from mbexport.models.training.objective import Objective
from mbexport.models.weights import weights_to_bytes

_BATCH: Final = 32
_LEAST: Final = np.finfo(np.float32).tiny  # a probability of zero has no logarithm
_LEAST_SIGMOID: Final = 1e-7  # Keras' epsilon: its binary cross-entropy clips to the same distance from 0 and 1

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The loss and the accuracy (0 to 1) of a network on held-out images.

    With a teacher `loss` is the divergence from its scores, 0 for equal ones, and `accuracy` the share of images for
    which both have the same top class; without one they are the cross-entropy and the share of right top classes.
    """

    loss: float
    accuracy: float


def evaluate(model: tf_keras.Model, objective: Objective, images: ImageSet) -> Evaluation:
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


def keep_if_best(model: tf_keras.Model, progress: Progress, objective: Objective) -> None:
    """Keep the weights in `progress` if the mean of the last `averaged_epochs` is better than any before."""
    recent = progress.history[-objective.averaged_epochs :]
    accuracy = float(np.mean([figures["val_accuracy"] for figures in recent]))
    loss = float(np.mean([figures["val_loss"] for figures in recent]))
    keep_if_better(model, progress, objective, Evaluation(loss=loss, accuracy=accuracy))


def keep_if_better(model: tf_keras.Model, progress: Progress, objective: Objective, found: Evaluation) -> None:
    """Keep the weights in `progress` if `found` is better than any evaluation before.

    With a teacher the loss alone decides: on few images agreement jumps, while divergence does not.
    """
    is_better = (
        (found.accuracy, -found.loss) > (progress.best_accuracy, -progress.best_loss)
        if objective.teacher is None
        else found.loss < progress.best_loss
    )
    if is_better:
        progress.best_accuracy, progress.best_loss = found.accuracy, found.loss
        progress.best_epoch, progress.best_weights = progress.epochs_done, weights_to_bytes(model)
