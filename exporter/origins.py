"""Turns where a float network comes from into the network: trained, fine-tuned, or read from somebody's file."""

import json
from dataclasses import replace
from typing import Final

import tf_keras

from mbexport.errors import DataError
from mbexport.models.augment import DIGITS_AUGMENTATION, PHOTO_AUGMENTATION
from mbexport.models.data import ImageSet
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.fine_tune import fine_tune
from mbexport.models.fit import OnStep, Session, TrainSettings
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.mobilenet_v1 import build
from mbexport.models.network import facts_of_network, facts_of_spec
from mbexport.models.preprocess import MOBILENET, RAW, Preprocess
from mbexport.models.pretrained import set_weights
from mbexport.models.train import batch_norm_momentum, make_deterministic, train
from mbexport.models.weights import weights_to_bytes
from mbexport.plan import HISTORY, NETWORK, WEIGHTS, BuildPlan, Foreign, Stored, Trained

_BATCH: Final = 32
_FINE_TUNING_DROPOUT: Final = 0.2  # a new head on few images: Keras' guide to transfer learning has the same

Files = dict[str, bytes]


def trained_network(
    plan: BuildPlan,
    origin: Trained,
    images: ImageSet,
    *,
    validation: ImageSet | None,
    is_photos: bool,
    session: Session,
    on_step: OnStep,
) -> Files:
    """A network of ours that has learned `images`: from scratch, or from the weights of `origin`.

    In the second case the best epoch is chosen on `validation`, if there are any.
    """
    preprocess = plan.preprocess(resolution_px=origin.spec.resolution_px)
    settings = train_settings(plan, is_photos=is_photos)
    if origin.weights is None:
        model, history = train(
            origin.spec, images, preprocess, settings, epochs=origin.epochs, session=session, on_step=on_step
        )
    else:
        make_deterministic(plan.seed)
        momentum = batch_norm_momentum(images, settings)
        model = build(origin.spec, batch_norm_momentum=momentum, dropout=_FINE_TUNING_DROPOUT, is_resumable=True)
        set_weights(model, stored_weights(origin.weights), source=origin.weights, keeps_head=False)
        history = fine_tune(
            model,
            images,
            preprocess,
            settings,
            epochs=origin.epochs,
            validation=validation,
            session=session,
            on_step=on_step,
        )
    facts = facts_of_spec(build(origin.spec), origin.spec, preprocess)
    return {**_files(model, facts), HISTORY: json.dumps(history, indent=1).encode()}


def stored_network(plan: BuildPlan, origin: Stored) -> Files:
    """A network of ours with the weights of a file, head and all."""
    make_deterministic(plan.seed)
    model = build(origin.spec)
    set_weights(model, stored_weights(origin.weights), source=origin.weights, keeps_head=True)
    preprocess = plan.preprocess(resolution_px=origin.spec.resolution_px)
    return _files(model, facts_of_spec(model, origin.spec, preprocess))


def foreign_network(plan: BuildPlan, origin: Foreign, *, classes: int | None) -> Files:
    """Somebody's trained Keras model as a chain of layers; it must give `classes` scores, if that is known.

    What the model does to its own input becomes part of the normalization. Where nobody says what it expects, that
    is bytes for a model that rescales them itself, and the convention of MobileNet otherwise.
    """
    from mbexport.models.keras_import.model import import_model

    make_deterministic(plan.seed)
    found = import_model(origin.model, resolution_px=origin.resolution_px, trust=origin.trust)
    rescales = (set(found.input_scale), set(found.input_offset)) != ({1.0}, {0.0})
    outside = plan.normalization or (RAW if rescales else MOBILENET)
    _, resolution_px, _, channels = found.network.input_shape
    preprocess = Preprocess(
        resolution_px=resolution_px,
        crop_fraction=plan.crop_fraction,
        channels=channels,
        normalization=outside.then(found.input_scale, found.input_offset),
    )
    facts = facts_of_network(found.network, preprocess, Output(found.output))
    if classes is not None and facts.classes != classes:
        raise DataError(
            f"{origin.model} must give a score for each class of the data, got {facts.classes} scores for "
            f"{classes} classes"
        )
    return _files(found.network, facts)


def train_settings(plan: BuildPlan, *, is_photos: bool) -> TrainSettings:
    """How networks learn from photos, and from digits, which must not be mirrored."""
    augmentation = PHOTO_AUGMENTATION if is_photos else DIGITS_AUGMENTATION
    return TrainSettings(batch=_BATCH, seed=plan.seed, augmentation=augmentation)


def distillation_settings(plan: BuildPlan, *, is_photos: bool) -> TrainSettings:
    """The same for a network with a teacher, which knows what is right for a mix of two photos."""
    settings = train_settings(plan, is_photos=is_photos)
    return replace(settings, augmentation=replace(settings.augmentation, mixes=is_photos))


def _files(model: tf_keras.Model, facts: Facts) -> Files:
    return {NETWORK: facts_to_json(facts).encode(), WEIGHTS: weights_to_bytes(model)}
