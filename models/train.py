"""Turns a ModelSpec and labelled images into a trained float network, the same one for the same seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras

from mbexport.errors import StageError
from mbexport.models.augment import Augmentation, augment
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.mobilenet_v1 import build
from mbexport.models.preprocess import Preprocess
from mbexport.models.spec import ModelSpec

_CACHE_LIMIT_BYTES: Final = 1 << 30  # decoded images are kept in memory up to here, and decoded anew beyond
_SHUFFLE_LIMIT: Final = 1 << 20  # indices, not images, where nothing is cached
_WARMUP_EPOCHS: Final = 1
_STATISTICS_IMAGES: Final = 1024
_STATISTICS_BATCH: Final = 64

OnStep = Callable[[int, int, str], None]  # steps done, steps in all, a few words on how it goes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How the network learns: `learning_rate` is the peak of a cosine schedule with one epoch of warm-up."""

    epochs: int
    batch: int
    learning_rate: float
    seed: int
    augmentation: Augmentation


def make_deterministic(seed: int) -> None:
    """Makes every later TensorFlow operation of this process repeatable, and forgets the graphs made before."""
    tf_keras.backend.clear_session()
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(seed)


def train(
    spec: ModelSpec, images: ImageSet, preprocess: Preprocess, settings: TrainSettings, *, on_step: OnStep
) -> tf_keras.Model:
    """The trained network. `on_step` is called after every step. Raises `StageError` if training diverges."""
    make_deterministic(settings.seed)
    steps = steps_per_epoch(images, settings)
    model = build(spec, batch_norm_momentum=_batch_norm_momentum(steps))
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, (settings.epochs - _WARMUP_EPOCHS) * steps),
        warmup_target=settings.learning_rate,
        warmup_steps=_WARMUP_EPOCHS * steps,
    )
    fit(model, images, preprocess, settings, schedule=schedule, mean=preprocess.mean, on_step=on_step)
    estimate_batch_norm_statistics(model, images, preprocess, seed=settings.seed)
    return model


def estimate_batch_norm_statistics(
    model: tf_keras.Model, images: ImageSet, preprocess: Preprocess, *, seed: int
) -> None:
    """Sets the moving statistics to the plain average over batches of unaugmented training images.

    What a decaying average remembers are the last steps of training, and after few steps its own start
    (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", arXiv 2105.07576, section 3).
    """
    norms = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    shuffled = np.random.default_rng(seed).permutation(len(images))[:_STATISTICS_IMAGES]
    for number, pixels in enumerate(iter_pixels(images.subset(shuffled), preprocess, batch=_STATISTICS_BATCH)):
        for norm in norms:
            norm.momentum = number / (number + 1)  # the mean of all batches so far
        model(preprocess.normalize(pixels), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def fit(
    model: tf_keras.Model,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    schedule: Any,
    mean: float,
    on_step: OnStep,
    teacher: tf_keras.Model | None = None,
) -> None:
    """Trains `model` in place on augmented images, fed as (byte - `mean`) / std, with Adam along `schedule`.

    With a `teacher`, its probabilities for the same input take the place of the labels (Hinton et al. 2015,
    arXiv 1503.02531, at temperature 1), and "accuracy" is how often both give the same answer.
    """
    steps = steps_per_epoch(images, settings)
    loss = "categorical_crossentropy" if teacher else "sparse_categorical_crossentropy"
    model.compile(optimizer=tf_keras.optimizers.Adam(schedule), loss=loss, metrics=["accuracy"])

    def as_input(pixels: Any, labels: Any) -> Any:
        inputs = (pixels - mean) / preprocess.std
        return inputs, teacher(inputs, training=False) if teacher else labels

    model.fit(
        augmented_batches(images, preprocess, settings).map(as_input),
        epochs=settings.epochs,
        steps_per_epoch=steps,
        verbose=0,
        callbacks=[_StepReporter(settings.epochs * steps, on_step)],
    )
    if not all(np.isfinite(value).all() for value in model.get_weights()):
        raise StageError("training diverged: the loss became NaN; lower the learning rate")


def steps_per_epoch(images: ImageSet, settings: TrainSettings) -> int:
    """Whole batches in the images; a set smaller than a batch is one step."""
    return max(1, len(images) // settings.batch)


def _batch_norm_momentum(steps_per_epoch: int) -> float:
    """Statistics that remember half an epoch: 0.99 would need hundreds of steps to forget its start."""
    return min(0.99, max(0.9, 1 - 2 / steps_per_epoch))


def augmented_batches(images: ImageSet, preprocess: Preprocess, settings: TrainSettings) -> Any:
    """An endless tf.data stream of (float32 pixels 0..255 of shape (batch, px, px, 3), int64 labels)."""
    px, count = preprocess.resolution_px, len(images)
    batch = min(settings.batch, count)
    labels = tf.constant(images.labels)

    def load(indices: Any) -> Any:
        # Whole batches, decoded in parallel inside: deterministic tf.data runs a Python function one call at a time.
        pixels = tf.numpy_function(
            lambda chosen: next(iter_pixels(images.subset(chosen), preprocess, batch=len(chosen))),
            [indices],
            tf.uint8,
        )
        return tf.ensure_shape(pixels, (None, px, px, 3)), tf.gather(labels, indices)

    indices = tf.data.Dataset.range(count)
    if count * px * px * 3 <= _CACHE_LIMIT_BYTES:
        dataset = indices.batch(batch).map(load).unbatch().cache().shuffle(count, seed=settings.seed)
    else:
        dataset = indices.shuffle(min(count, _SHUFFLE_LIMIT), seed=settings.seed).batch(batch).map(load).unbatch()
    dataset = dataset.batch(batch, drop_remainder=True).repeat()

    def move(step: Any, pair: Any) -> Any:
        pixels, batch_labels = pair
        seed = [tf.constant(settings.seed, tf.int64) * 16, step]
        return augment(pixels, settings.augmentation, seed=seed), batch_labels

    counted = tf.data.Dataset.zip((tf.data.Dataset.counter(), dataset))
    return counted.map(move, tf.data.AUTOTUNE, deterministic=True).prefetch(2)


class _StepReporter(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras publishes no types
    """Passes each step's loss and accuracy on to whoever shows progress, and stops a run that diverged."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        super().__init__()
        self._total, self._on_step, self._done = total, on_step, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        self._done += 1
        values = logs or {}
        loss = float(values.get("loss", np.nan))
        if not math.isfinite(loss):
            self.model.stop_training = True
        accuracy = values.get("accuracy")
        text = f"loss {loss:.3f}" + (f", accuracy {accuracy:.1%}" if accuracy is not None else "")
        self._on_step(self._done, self._total, text)
