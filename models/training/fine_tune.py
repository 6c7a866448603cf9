"""Fine-tune a network with a trained backbone and a new head: method and measurements are in docs/decisions/0009."""

from collections.abc import Collection
from typing import Final

import tf_keras

from mbexport.models.data.imageset import ImageSet, stratified_split
from mbexport.models.preprocess import Preprocess
from mbexport.models.training.classification import ClassObjective
from mbexport.models.training.fit import OnStep, Phase, Session, fit
from mbexport.models.training.stream import TrainSettings
from mbexport.models.training.train import History, class_weights

# The new head starts from random weights, whose first gradients would spoil the backbone: so it learns alone first.
_HEAD_LEARNING_RATE: Final = 1e-2
_HEAD_SHARE: Final = 0.2  # of the epochs
_BACKBONE_LEARNING_RATE: Final = 3e-3
_WEIGHT_DECAY: Final = 0.05
_LABEL_SMOOTHING: Final = 0.1
_HELD_OUT: Final = 0.1  # of the training images, where there are no validation images
_AVERAGED_EPOCHS: Final = 5  # the accuracy of one epoch on so few images is mostly luck
_PATIENCE: Final = 25  # most is gained in the last third of a cosine


def fine_tune(
    model: tf_keras.Model,
    images: ImageSet,
    preprocess: Preprocess,
    settings: TrainSettings,
    *,
    untrained: Collection[str],
    epochs: int,
    validation: ImageSet | None,
    session: Session,
    on_step: OnStep,
) -> History:
    """Train `model` in place: first the layers that are `untrained`, by name, then everything, more slowly.

    Returns the figures of each epoch. The `validation` images stop a phase that no longer improves, and choose the
    best epoch; without any, a tenth of the training images is held out for that. Raises `StageError` if training
    diverges.
    """
    averaged_epochs = 1
    if validation is None:
        averaged_epochs = _AVERAGED_EPOCHS
        rest, held_out = stratified_split(images.labels, test_fraction=_HELD_OUT, seed=settings.seed)
        images, validation = images.subset(rest), images.subset(held_out)
    objective = ClassObjective(
        images=images,
        preprocess=preprocess,
        as_input=preprocess.normalize_floats,
        class_weights=class_weights(images.labels, int(model.output_shape[-1])),
        label_smoothing=_LABEL_SMOOTHING,
        validation=validation,
        averaged_epochs=averaged_epochs,
        patience=_PATIENCE,
    )
    return fit(model, objective, settings, _phases(epochs, untrained), session=session, on_step=on_step)


def _phases(epochs: int, untrained: Collection[str]) -> tuple[Phase, Phase]:
    """The epochs of the untrained layers alone, and those of all layers."""
    head_epochs = max(1, round(epochs * _HEAD_SHARE))
    return (
        Phase(epochs=head_epochs, learning_rate=_HEAD_LEARNING_RATE, frozen=lambda layer: layer.name not in untrained),
        Phase(
            epochs=epochs - head_epochs,
            learning_rate=_BACKBONE_LEARNING_RATE,
            warmup_epochs=1,
            weight_decay=_WEIGHT_DECAY,
        ),
    )
