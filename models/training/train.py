"""Train a float network from scratch, reproducibly for a seed."""

from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.models.architectures import architecture_of
from mbexport.models.data.open import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import NetworkSpec
from mbexport.models.training.classification import ClassObjective
from mbexport.models.training.fit import OnStep, Phase, Session, fit
from mbexport.models.training.stream import TrainSettings, steps_per_epoch

_STATISTICS_IMAGES: Final = 1024
_STATISTICS_BATCH: Final = 64

History = list[dict[str, float]]


def make_deterministic(seed: int) -> None:
    """Make every later TensorFlow operation of this process deterministic, and drop the graphs made before."""
    tf_keras.backend.clear_session()
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(seed)


def train(
    spec: NetworkSpec,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    epochs: int,
    learning_rate: float,
    session: Session,
    on_step: OnStep,
) -> tuple[tf_keras.Model, History]:
    """Train the network of `spec` for `epochs`, with Adam and a cosine from `learning_rate`.

    Returns it and the figures of each epoch.

    Raises `StageError` if training diverges.
    """
    make_deterministic(settings.seed)
    momentum = batch_norm_momentum(images, settings)
    model = architecture_of(spec).build(spec, batch_norm_momentum=momentum, is_resumable=True)
    objective = ClassObjective(
        images=images,
        preprocess=preprocess,
        as_input=preprocess.normalize_floats,
        class_weights=class_weights(images.labels, spec.classes),
    )
    phases = (Phase(epochs=epochs, learning_rate=learning_rate, warmup_epochs=1),)
    history = fit(model, objective, settings, phases, session=session, on_step=on_step)
    estimate_batch_norm_statistics(model, images, preprocess, seed=settings.seed)
    return model, history


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The weight of each class in the loss: images / (classes present * images of the class), 0 for an absent class.

    Source: King and Zeng 2001, "Logistic Regression in Rare Events Data"; scikit-learn's "balanced".
    """
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    return np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0).astype(np.float32)


def _is_norm(layer: Any) -> bool:
    return isinstance(layer, tf_keras.layers.BatchNormalization)


def estimate_batch_norm_statistics(
    model: tf_keras.Model, images: ImageSet, preprocess: Preprocess, *, seed: int
) -> None:
    """Set the moving statistics to the plain average over batches of unaugmented training images.

    A decaying average consists of the last steps of training and, after few steps, of its initial value (Wu and
    Johnson 2021, "Rethinking Batch in BatchNorm", arXiv 2105.07576, section 3).
    """
    norms = [layer for layer in model.layers if _is_norm(layer)]
    momenta = [norm.momentum for norm in norms]
    shuffled = np.random.default_rng(seed).permutation(len(images))[:_STATISTICS_IMAGES]
    for number, pixels in enumerate(iter_pixels(images.subset(shuffled), preprocess, batch=_STATISTICS_BATCH)):
        for norm in norms:
            norm.momentum = number / (number + 1)  # the mean of all batches so far
        model(preprocess.normalize(pixels), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def batch_norm_momentum(images: ImageSet, settings: TrainSettings) -> float:
    """The decay of moving statistics that average over half an epoch, from 0.9 to 0.99.

    0.99 needs hundreds of steps to forget its initial value.
    """
    return min(0.99, max(0.9, 1 - 2 / steps_per_epoch(images, settings)))
