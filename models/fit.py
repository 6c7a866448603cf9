"""Turns a network and labelled images into a trained network, epoch by epoch.

What an epoch sees depends on the seed and its number only, and all that one epoch leaves for the next lies in a
checkpoint, so that a run that was interrupted ends with the same weights as one that was not.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import StageError
from mbexport.models.augment import Augmentation
from mbexport.models.checkpoint import Progress, checkpoint, read_progress, restore
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.pixel_store import PixelStore, open_store
from mbexport.models.preprocess import Preprocess
from mbexport.models.stream import training_batches
from mbexport.models.weights import weights_from_bytes, weights_to_bytes

_EVALUATION_BATCH: Final = 32

OnStep = Callable[[int, int, str], None]  # steps done, steps in all, a few words on how it goes
AsInput = Callable[[Any], Any]  # float32 pixels 0..255 to what the network takes


class Session(Protocol):
    """Where a training keeps what must survive it: its last checkpoint, decoded images, curves for TensorBoard."""

    cache_dir: Path
    log_dir: Path | None

    def load(self) -> bytes | None:
        """The last checkpoint of this very training, if there is one."""

    def save(self, content: bytes) -> None:
        """Puts `content` in its place, whole or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a network learns: `batch` images a step, moved by `augmentation`; `seed` decides every random choice."""

    batch: int
    seed: int
    augmentation: Augmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some epochs at one schedule: a cosine from `learning_rate` to zero, after `warmup_epochs` from zero to it.

    `frozen` says which layers keep their weights; a frozen batch normalization keeps its statistics, too.
    `weight_decay` is what a step takes from every weight, as a share of it and of the learning rate (Loshchilov and
    Hutter 2019, arXiv 1711.05101).
    """

    epochs: int
    learning_rate: float
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    frozen: Callable[[Any], bool] = lambda _layer: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a network is to learn: images, how they become its input, and what counts as right.

    With a `teacher`, its probabilities for the same input take the place of the labels (Hinton et al. 2015, arXiv
    1503.02531, at temperature 1), and "accuracy" is how often both give the same answer. Without one,
    `label_smoothing` is what the right class leaves to all of them together (Szegedy et al. 2016, arXiv 1512.00567,
    section 7). `class_weights` (one for each class, float32) multiply the loss. With `validation` images an epoch is
    as good as the last `judged_epochs` together answered them, and as low as their loss; the weights of the best one
    are kept, and `patience` epochs without a better one are the last. With a teacher, too, that may be those that
    the training started from.
    """

    images: ImageSet
    preprocess: Preprocess
    as_input: AsInput
    teacher: tf_keras.Model | None = None
    class_weights: NDArray[np.float32] | None = None
    label_smoothing: float = 0.0
    validation: ImageSet | None = None
    judged_epochs: int = 1
    patience: int = 0


def fit(
    model: tf_keras.Model,
    lesson: Lesson,
    settings: TrainSettings,
    phases: tuple[Phase, ...],
    *,
    session: Session,
    on_step: OnStep,
) -> list[dict[str, float]]:
    """Trains `model` in place with Adam, phase after phase, and gives the figures of each epoch.

    `on_step` is called after every step. Raises `StageError` if training diverges.
    """
    steps = steps_per_epoch(lesson.images, settings)
    run = _Run(
        model=model,
        lesson=lesson,
        settings=settings,
        store=open_store(session.cache_dir, count=len(lesson.images), shape=lesson.preprocess.uncropped.shape),
        example=tf.function(_as_example(lesson, int(model.output_shape[-1]))),  # traced once, not once an epoch
        reporter=_StepReporter(steps * sum(phase.epochs for phase in phases), on_step),
    )
    content = session.load()
    progress = read_progress(content) if content else Progress()
    first = 0
    with _curves(session.log_dir) as log:
        for phase in phases:
            last = first + phase.epochs
            if not _is_over(progress, lesson, first=first, last=last):
                _prepare(model, lesson, phase, steps)
                if lesson.teacher and lesson.validation and not progress.best_weights:
                    _keep_if_better(model, progress, *reversed(_evaluate(model, lesson, lesson.validation)))
                if content:
                    restore(model, content, with_optimizer=progress.epochs_done > first)
                    content = None
            while not _is_over(progress, lesson, first=first, last=last):
                run.epoch(progress)
                log(progress.epochs_done, progress.history[-1])
                session.save(checkpoint(model, progress))
            first, progress.epochs_done = last, max(last, progress.epochs_done)
    if content:  # there was nothing left to do
        restore(model, content, with_optimizer=False)
    if progress.best_weights:
        weights_from_bytes(model, progress.best_weights, source="the best epoch")
    return progress.history


def steps_per_epoch(images: ImageSet, settings: TrainSettings) -> int:
    """Whole batches in the images; a set smaller than a batch is one step."""
    return max(1, len(images) // settings.batch)


def _is_over(progress: Progress, lesson: Lesson, *, first: int, last: int) -> bool:
    """Whether a phase had all its epochs, or the validation images have seen no better one for too long."""
    waited = progress.epochs_done - max(progress.best_epoch, first)
    return progress.epochs_done >= last or (lesson.validation is not None and waited >= lesson.patience)


def _prepare(model: tf_keras.Model, lesson: Lesson, phase: Phase, steps: int) -> None:
    for layer in model.layers:
        layer.trainable = not phase.frozen(layer)
    is_soft = lesson.teacher or lesson.label_smoothing
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        0.0 if phase.warmup_epochs else phase.learning_rate,
        max(1, (phase.epochs - phase.warmup_epochs) * steps),
        warmup_target=phase.learning_rate if phase.warmup_epochs else None,
        warmup_steps=phase.warmup_epochs * steps,
    )
    model.compile(
        optimizer=tf_keras.optimizers.Adam(schedule, weight_decay=phase.weight_decay or None),
        loss="categorical_crossentropy" if is_soft else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What all epochs of a training share."""

    model: tf_keras.Model
    lesson: Lesson
    settings: TrainSettings
    store: PixelStore | None
    example: Callable[[Any, Any], Any]
    reporter: "_StepReporter"

    def epoch(self, progress: Progress) -> None:
        """Trains for one epoch, and takes down how it went."""
        batches = training_batches(
            self.lesson.images,
            self.lesson.preprocess.uncropped,
            batch=self.settings.batch,
            seed=self.settings.seed,
            epochs=range(progress.epochs_done, progress.epochs_done + 1),
            augmentation=self.settings.augmentation,
            store=self.store,
            output_px=self.lesson.preprocess.resolution_px,
        )
        self.reporter.done = steps_per_epoch(self.lesson.images, self.settings) * progress.epochs_done
        logs = self.model.fit(batches.map(self.example), epochs=1, verbose=0, callbacks=[self.reporter]).history
        if not all(np.isfinite(value).all() for value in self.model.get_weights()):
            raise StageError("training diverged: the loss became NaN; lower the learning rate")
        found = {name: float(values[-1]) for name, values in logs.items()}
        found["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        progress.epochs_done += 1
        if self.lesson.validation is not None:
            loss, accuracy = _evaluate(self.model, self.lesson, self.lesson.validation)
            found |= {"val_loss": loss, "val_accuracy": accuracy}
        progress.history.append(found)
        if self.lesson.validation is not None:
            _keep_if_best(self.model, progress, judged_epochs=self.lesson.judged_epochs)


def _keep_if_best(model: tf_keras.Model, progress: Progress, *, judged_epochs: int) -> None:
    """Keeps the weights if the last epochs, taken together, were better than any before."""
    recent = progress.history[-judged_epochs:]
    accuracy = float(np.mean([figures["val_accuracy"] for figures in recent]))
    loss = float(np.mean([figures["val_loss"] for figures in recent]))
    _keep_if_better(model, progress, accuracy, loss)


def _keep_if_better(model: tf_keras.Model, progress: Progress, accuracy: float, loss: float) -> None:
    if (accuracy, -loss) > (progress.best_accuracy, -progress.best_loss):
        progress.best_accuracy, progress.best_loss = accuracy, loss
        progress.best_epoch, progress.best_weights = progress.epochs_done, weights_to_bytes(model)


def _as_example(lesson: Lesson, classes: int) -> Callable[[Any, Any], Any]:
    def example(pixels: Any, labels: Any) -> Any:
        inputs = lesson.as_input(pixels)
        target = (
            lesson.teacher(inputs, training=False)
            if lesson.teacher
            else _smoothed(labels, lesson.label_smoothing, classes)
        )
        if lesson.class_weights is None:
            return inputs, target
        return inputs, target, tf.gather(tf.constant(lesson.class_weights), labels)

    return example


def _smoothed(labels: Any, share: float, classes: int) -> Any:
    if not share:
        return labels
    right = tf.one_hot(labels, classes)
    return right * (1 - share) + share / classes


def _evaluate(model: tf_keras.Model, lesson: Lesson, images: ImageSet) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy on `images`, against the teacher's answers if there is one."""
    loss, hits, done = 0.0, 0, 0
    for pixels in iter_pixels(images, lesson.preprocess, batch=_EVALUATION_BATCH):
        inputs = lesson.as_input(pixels.astype(np.float32))
        scores = np.asarray(model.predict_on_batch(inputs), np.float64)
        target = (
            np.eye(scores.shape[1])[images.labels[done : done + len(pixels)]]
            if lesson.teacher is None
            else (np.asarray(lesson.teacher.predict_on_batch(inputs), np.float64))
        )
        loss -= float((target * np.log(np.maximum(scores, np.finfo(np.float32).tiny))).sum())
        hits += int((scores.argmax(axis=1) == target.argmax(axis=1)).sum())
        done += len(pixels)
    return loss / done, hits / done


@contextmanager
def _curves(log_dir: Path | None) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """What takes down the figures of an epoch for TensorBoard, as soon as there are any; nothing without a folder."""
    if log_dir is None:
        yield lambda _epoch, _figures: None
        return
    from tensorboard.summary import Writer

    writer = Writer(str(log_dir))

    def log(epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(f"epoch_{name}", value, step=epoch)
        writer.flush()

    try:
        yield log
    finally:
        writer.close()


class _StepReporter(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras publishes no types
    """Passes each step's loss and accuracy on to whoever shows progress, and stops a run that diverged."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        super().__init__()
        self._total, self._on_step, self.done = total, on_step, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        self.done += 1
        values = logs or {}
        loss = float(values.get("loss", np.nan))
        if not math.isfinite(loss):
            self.model.stop_training = True
        accuracy = values.get("accuracy")
        text = f"loss {loss:.3f}" + (f", accuracy {accuracy:.1%}" if accuracy is not None else "")
        self._on_step(self.done, self._total, text)
