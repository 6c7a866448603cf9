"""Keep the weights of the best epoch of a training."""

from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras

from mbexport.models.training.checkpoint import Progress
from mbexport.models.training.objective import Evaluation, Objective
from mbexport.models.weights import weights_to_bytes


def mean_evaluation(history: Sequence[Mapping[str, float]], *, accuracy: str) -> Evaluation:
    """The mean of several epochs, whose figures call the loss `val_loss` and the accuracy `accuracy`."""
    return Evaluation(
        loss=float(np.mean([figures["val_loss"] for figures in history])),
        accuracy=float(np.mean([figures[accuracy] for figures in history])),
    )


def keep_if_best(model: tf_keras.Model, progress: Progress, objective: Objective) -> None:
    """Keep the weights in `progress` if its last epoch is better than any before."""
    keep_if_better(model, progress, objective, objective.rated(progress.history))


def keep_if_better(model: tf_keras.Model, progress: Progress, objective: Objective, found: Evaluation) -> None:
    """Keep the weights in `progress` if `found` is better than any evaluation before."""
    best = Evaluation(loss=progress.best_loss, accuracy=progress.best_accuracy)
    if objective.is_better(found, best):
        progress.best_accuracy, progress.best_loss = found.accuracy, found.loss
        progress.best_epoch, progress.best_weights = progress.epochs_done, weights_to_bytes(model)
