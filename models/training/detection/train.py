"""Train a detector, from the weights of a classifier or from scratch."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import tf_keras

from mbexport.errors import DataError
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.detection.anchors import AnchorTable
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.preprocess import Preprocess
from mbexport.models.pretrained import set_weights
from mbexport.models.ssd.anchor_choice import network_anchors
from mbexport.models.ssd.network import build, with_joined_maps
from mbexport.models.ssd.pretrained import CLASS_PREDICTORS, FORM
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.training.detection.loss import PRIOR_BIAS
from mbexport.models.training.detection.objective import BoxObjective
from mbexport.models.training.fit import OnStep, Phase, Session, fit
from mbexport.models.training.stream import TrainSettings, steps_per_epoch
from mbexport.models.training.train import History, batch_norm_momentum, make_deterministic

# The new layers start from random weights, whose first gradients would spoil the backbone: so they learn alone first.
_NEW_LEARNING_RATE: Final = 3e-3
_NEW_SHARE: Final = 0.1  # of the epochs
_LEARNING_RATE: Final = 3e-3
_WEIGHT_DECAY: Final = 0.05
_CLASS_STDDEV: Final = 0.01  # arXiv 1708.02002, section 4.1
_HELD_OUT: Final = 0.1  # of the training images, where there are no validation images
_AVERAGED_EPOCHS: Final = 3  # the average precision on so few images is partly luck
_STEPS_BETWEEN: Final = 50  # evaluations, at least: epochs of few images are shorter than their evaluation
_LEAST_PIECES: Final = 5  # between evaluations, of a short training: there must be something to choose from


def train_detector(
    spec: SsdSpec,
    train: BoxedImages,
    validation: BoxedImages | None,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    weights: Path | None,
    epochs: int,
    table: AnchorTable,
    session: Session,
    on_step: OnStep,
) -> tuple[tf_keras.Model, History]:
    """Train the detector of `spec` for `epochs`. Returns the core network, and the figures of each evaluation.

    With the `weights` of a classifier of the same width new layers learn alone for a tenth of the epochs, then all
    learn. The `validation` images choose the best of the evaluations, one an epoch or, where epochs are short, one in
    50 steps; without any, a tenth of the training images is held out for that. `settings` have a
    `PackedAugmentation`. Raises `DataError` for weights that do not fit, and `StageError` if training diverges.
    """
    make_deterministic(settings.seed)
    averaged_epochs = 1
    if validation is None:
        averaged_epochs = _AVERAGED_EPOCHS
        train, validation = held_out_tenth(train, seed=settings.seed)
    core = build(spec, batch_norm_momentum=batch_norm_momentum(train.images, settings))
    untrained = set_weights(FORM, core, stored_weights(weights), source=weights, keeps_head=False) if weights else None
    _expect_background(core, seed=settings.seed)
    phases = _phases(epochs, steps_per_epoch(train.images, settings), untrained)
    objective = BoxObjective(
        learned=train,
        preprocess=preprocess,
        classes=spec.classes,
        anchors=network_anchors(spec, table),
        table=table,
        held_out=validation,
        held_out_store=session.pixels(validation.images, preprocess),
        averaged_epochs=averaged_epochs,
        patience=sum(phase.epochs for phase in phases),
    )
    history = fit(_for_training(core), objective, settings, phases, session=session, on_step=on_step)
    return core, history


def held_out_tenth(boxed: BoxedImages, *, seed: int) -> tuple[BoxedImages, BoxedImages]:
    """The images to learn from, and a tenth of them, at least one, that is held out.

    Raises `DataError` for fewer than two images.
    """
    if len(boxed) < 2:
        raise DataError(f"a detector needs at least 2 images to learn from, one of them to judge by, got {len(boxed)}")
    order = np.random.default_rng(seed).permutation(len(boxed))
    count = max(1, round(len(boxed) * _HELD_OUT))
    return boxed.subset(np.sort(order[count:])), boxed.subset(np.sort(order[:count]))


def _expect_background(core: tf_keras.Model, *, seed: int) -> None:
    """Let every score start near 0.01, by the bias of the predictors of classes and kernels near zero."""
    rng = np.random.default_rng(seed)
    for name in CLASS_PREDICTORS:
        kernel, bias = core.get_layer(name).get_weights()
        drawn = rng.normal(0, _CLASS_STDDEV, kernel.shape)
        core.get_layer(name).set_weights([drawn.astype(np.float32), np.full_like(bias, PRIOR_BIAS)])


def _for_training(core: tf_keras.Model) -> tf_keras.Model:
    """The core network with one output (batch, anchors, 4 + classes), on which the loss depends."""
    joined = with_joined_maps(core)
    outputs = tf_keras.layers.Concatenate(axis=-1, name="codes_and_logits")(joined.outputs)
    return tf_keras.Model(core.input, outputs, name=core.name)


def _phases(epochs: int, per_epoch: int, untrained: Collection[str] | None) -> tuple[Phase, ...]:
    """The epochs of new layers alone, if others are trained, and those of all; in pieces between two evaluations."""
    alone = min(max(1, round(epochs * _NEW_SHARE)), epochs - 1) if untrained is not None else 0
    count, steps = epochs - alone, (epochs - alone) * per_epoch
    pieces = min(count, max(_LEAST_PIECES, steps // _STEPS_BETWEEN))
    whole = Phase(
        epochs=pieces,
        steps=steps,
        learning_rate=_LEARNING_RATE,
        warmup_epochs=1 if pieces > 1 else 0,
        weight_decay=_WEIGHT_DECAY,
    )
    if untrained is None or not alone:
        return (whole,)
    first = Phase(
        epochs=min(alone, max(1, alone * per_epoch // _STEPS_BETWEEN)),
        steps=alone * per_epoch,
        learning_rate=_NEW_LEARNING_RATE,
        frozen=lambda layer: layer.name not in untrained,
    )
    return first, whole
