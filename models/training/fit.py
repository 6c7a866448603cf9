"""Train a network on images, epoch by epoch, so that it can be interrupted and resumed.

The batches of an epoch depend on the seed and the epoch's number only, and a checkpoint holds all that an epoch needs
of those before it. So a run that was interrupted ends with the same weights as one that was not.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tf_keras

from mbexport.errors import StageError
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.best_epoch import keep_if_best, keep_if_better
from mbexport.models.training.checkpoint import Progress, checkpoint, read_progress, restore
from mbexport.models.training.objective import Objective, Stream
from mbexport.models.training.ordered_sums import with_ordered_sums
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import TrainSettings, steps_per_epoch
from mbexport.models.weights import weights_from_bytes

OnStep = Callable[[int, int, str], None]  # steps done, steps in all, a text with loss and accuracy


@contextmanager
def curves(log_dir: Path | None) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A function that writes the figures of an epoch for TensorBoard at once; without a folder it does nothing."""
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


class Session(Protocol):
    """Storage of a training: its last checkpoint, decoded images, a folder for TensorBoard's curves."""

    log_dir: Path | None

    def pixels(self, images: ImageSet, preprocess: Preprocess) -> PixelStore | None:
        """A store for the pixels of these images, which may hold them already; None if there is no room for one."""

    def load(self) -> bytes | None:
        """The last checkpoint of the same training, None without one."""

    def save(self, content: bytes) -> None:
        """Replace the checkpoint by `content`, atomically."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Epochs with one schedule: a cosine from `learning_rate` to zero, after `warmup_epochs` from zero to it.

    `steps` is the number of steps in all, spread evenly over the epochs, which are then only the intervals between
    checkpoints; without it an epoch goes through the images once. `frozen(layer)` is True for layers that keep their
    weights; a frozen batch normalization keeps its statistics, too. A step subtracts `weight_decay` times the
    learning rate of every weight (Loshchilov and Hutter 2019, arXiv 1711.05101). Raises `ValueError` for fewer steps
    than epochs.
    """

    epochs: int
    learning_rate: float
    steps: int | None = None
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    frozen: Callable[[Any], bool] = lambda _layer: False

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < self.epochs:
            raise ValueError(f"a phase must have at least one step an epoch, got {self.steps} for {self.epochs} epochs")

    def total(self, per_epoch: int) -> int:
        """The number of steps of the phase, if going through the images once takes `per_epoch`."""
        return self.epochs * per_epoch if self.steps is None else self.steps

    def steps_of(self, epoch: int, per_epoch: int) -> range:
        """The steps of `epoch`, both counted from 0 within the phase."""
        total = self.total(per_epoch)
        return range(total * epoch // self.epochs, total * (epoch + 1) // self.epochs)


def fit(
    model: tf_keras.Model,
    objective: Objective,
    settings: TrainSettings,
    phases: tuple[Phase, ...],
    *,
    session: Session,
    on_step: OnStep,
) -> list[dict[str, float]]:
    """Train `model` in place with Adam, phase after phase, and return the figures of each epoch.

    `on_step` is called after every step. Raises `StageError` if training diverges, and `ValueError` as the `objective`
    does for augmentation.
    """
    model = with_ordered_sums(model)
    per_epoch = steps_per_epoch(objective.images, settings)
    reporter = _StepReporter(sum(phase.total(per_epoch) for phase in phases), on_step)
    run = _prepare_run(model, objective, settings, session, reporter)
    content = session.load()
    progress = read_progress(content) if content else Progress()
    first = first_step = 0
    with curves(session.log_dir) as log:
        for phase in phases:
            last = first + phase.epochs
            if not _is_over(progress, objective, first=first, last=last):
                _prepare_phase(model, objective, phase, per_epoch)
                if objective.may_keep_start and objective.has_held_out and not progress.best_weights:
                    keep_if_better(model, progress, objective, objective.rated([objective.evaluated(model)]))
                if content:
                    restore(model, content, with_optimizer=progress.epochs_done > first)
                    content = None
            while not _is_over(progress, objective, first=first, last=last):
                steps = phase.steps_of(progress.epochs_done - first, per_epoch)
                run.epoch(progress, range(first_step + steps.start, first_step + steps.stop))
                log(progress.epochs_done, progress.history[-1])
                session.save(checkpoint(model, progress))
            first, progress.epochs_done = last, max(last, progress.epochs_done)
            first_step += phase.total(per_epoch)
    _finish(model, progress, content)
    return progress.history


def _finish(model: tf_keras.Model, progress: Progress, content: bytes | None) -> None:
    """Give the model the weights that training ends with; `content` is a checkpoint that no phase has taken up."""
    if content:  # every phase was over
        restore(model, content, with_optimizer=False)
    if progress.best_weights:
        weights_from_bytes(model, progress.best_weights, source="the best epoch")


def _is_over(progress: Progress, objective: Objective, *, first: int, last: int) -> bool:
    """Whether a phase had all its epochs, or `patience` epochs without a better evaluation."""
    waited = progress.epochs_done - max(progress.best_epoch, first)
    return progress.epochs_done >= last or (objective.has_held_out and waited >= objective.patience)


def _prepare_phase(model: tf_keras.Model, objective: Objective, phase: Phase, per_epoch: int) -> None:
    """Freeze the layers of the phase, and compile the model with its schedule."""
    for layer in model.layers:
        layer.trainable = not phase.frozen(layer)
    warmup = phase.steps_of(phase.warmup_epochs, per_epoch).start if phase.warmup_epochs else 0
    schedule = tf_keras.optimizers.schedules.CosineDecay(
        0.0 if phase.warmup_epochs else phase.learning_rate,
        max(1, phase.total(per_epoch) - warmup),
        warmup_target=phase.learning_rate if phase.warmup_epochs else None,
        warmup_steps=warmup,
    )
    model.compile(
        optimizer=tf_keras.optimizers.Adam(schedule, weight_decay=phase.weight_decay or None),
        **objective.compile_options(),
    )
    model.optimizer.build(model.trainable_variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The values that all epochs of a training share."""

    model: tf_keras.Model
    objective: Objective
    stream: Stream
    reporter: "_StepReporter"

    def epoch(self, progress: Progress, steps: range) -> None:
        """Train for one epoch, that is for `steps`, counted from the first of all; add its figures to `progress`."""
        self.reporter.done = steps.start
        logs = self.model.fit(self.stream(steps), epochs=1, verbose=0, callbacks=[self.reporter]).history
        if not all(np.isfinite(value).all() for value in self.model.get_weights()):
            raise StageError("training diverged: the loss became NaN. Check --data and --weights, try another --seed")
        found = {name: float(values[-1]) for name, values in logs.items()}
        found["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())
        progress.epochs_done += 1
        if self.objective.has_held_out:
            found |= self.objective.evaluated(self.model)
        progress.history.append(found)
        if self.objective.has_held_out:
            keep_if_best(self.model, progress, self.objective)


def _prepare_run(
    model: tf_keras.Model,
    objective: Objective,
    settings: TrainSettings,
    session: Session,
    reporter: "_StepReporter",
) -> _Run:
    """Open the cache of decoded images, and make what all epochs share. Raises `ValueError` as `fit` does."""
    store = session.pixels(objective.images, objective.stored_as)
    return _Run(model=model, objective=objective, stream=objective.stream(model, settings, store), reporter=reporter)


class _StepReporter(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras publishes no types
    """Report each step's loss and accuracy to `on_step`, and stop a training whose loss is not finite."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        super().__init__()
        self._total, self._on_step, self.done = total, on_step, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        self.done += 1
        values = logs or {}
        loss = float(values.get("loss", np.nan))
        if not math.isfinite(loss):
            self.model.stop_training = True
        shares = [f", {name} {values[name]:.1%}" for name in ("accuracy", "agreement") if name in values]
        self._on_step(self.done, self._total, f"loss {loss:.3f}" + "".join(shares))
