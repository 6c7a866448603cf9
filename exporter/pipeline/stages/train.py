"""The float network: trained here, given the weights of a file, or imported from somebody's Keras model."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mbexport.errors import DataError
from mbexport.fingerprint import path_hash, tensorflow_threads
from mbexport.models.architectures import architecture_of
from mbexport.models.channels import require_no_alpha
from mbexport.models.facts import facts_to_json
from mbexport.models.preprocess import (
    MOBILENET_NAME,
    NO_BYTES,
    NORMALIZATIONS,
    RAW_NAME,
    Preprocess,
    own_normalization,
)
from mbexport.models.pretrained import set_weights
from mbexport.models.resolution import Resolution
from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import BuildPlan, Foreign, Stored, Trained
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import HISTORY, INPUT, NETWORK, WEIGHTS

if TYPE_CHECKING:
    from mbexport.models.facts import Facts
    from mbexport.models.training.stream import TrainSettings

_BATCH: Final = 32
_LEARNING_RATE: Final = 3e-3  # peak, from scratch
_DIGITS_LEARNING_RATE: Final = 1e-2  # with which fewer epochs teach as much (docs/decisions/0007)
_FINE_TUNING_DROPOUT: Final = 0.2  # a new head on few images: Keras' guide to transfer learning has the same


def is_trained(run: Context) -> bool:
    """Whether a classifier learns here."""
    return run.plan.task is Task.CLASSIFY and isinstance(run.plan.origin, Trained)


def is_stored(run: Context) -> bool:
    """Whether the network is ours, with the weights of a file."""
    return isinstance(run.plan.origin, Stored)


def is_foreign(run: Context) -> bool:
    """Whether the network is a classifier that was made elsewhere."""
    return run.plan.task is Task.CLASSIFY and isinstance(run.plan.origin, Foreign)


def network_options(run: Context) -> dict[str, Any]:
    """What decides how images are fed to any network, and every random choice."""
    plan = run.plan
    return {"crop": plan.crop_fraction, "normalization": plan.normalization, "seed": plan.seed}


def train_options(run: Context) -> Options:
    """What decides what a network learns."""
    origin = _origin(run, Trained)
    weights = path_hash(origin.weights) if origin.weights else None
    learned = {"spec": origin.spec, "epochs": origin.epochs, "weights": weights, "data": run.images.fingerprints}
    return {**network_options(run), **learned, "threads": tensorflow_threads()}


def train(run: Context) -> Files:
    """A network of ours that has learned the training images: from scratch, or from the weights of a file.

    In the second case the best epoch is chosen on the validation images, if there are any.
    """
    from mbexport.models.network import facts_of_spec
    from mbexport.models.training.train import train as train_from_scratch

    plan, origin = run.plan, _origin(run, Trained)
    preprocess = plan.preprocess(resolution=origin.spec.resolution)
    settings = train_settings(plan, is_photos=run.images.is_photos)
    if origin.weights is None:
        model, history = train_from_scratch(
            origin.spec,
            run.images.train,
            preprocess,
            settings,
            epochs=origin.epochs,
            learning_rate=_LEARNING_RATE if run.images.is_photos else _DIGITS_LEARNING_RATE,
            session=run.session,
            on_step=run.progress.step,
        )
    else:
        model, history = _fine_tuned(run, origin, preprocess, settings)
    facts = facts_of_spec(architecture_of(origin.spec).build(origin.spec), origin.spec, preprocess)
    return {**_files(model, facts), HISTORY: json.dumps(history, indent=1).encode()}


def _fine_tuned(run: Context, origin: Trained, preprocess: Preprocess, settings: "TrainSettings") -> tuple[Any, Any]:
    """The network with a new head on the backbone of a file's weights, and its history."""
    from mbexport.formats.keras.format import KERAS
    from mbexport.formats.trial import try_as
    from mbexport.models.keras_import.weights import stored_weights
    from mbexport.models.training.fine_tune import fine_tune
    from mbexport.models.training.train import batch_norm_momentum, make_deterministic

    assert origin.weights is not None
    make_deterministic(run.plan.seed)
    momentum = batch_norm_momentum(run.images.train, settings)
    architecture = architecture_of(origin.spec)
    model = architecture.build(
        origin.spec, batch_norm_momentum=momentum, dropout=_FINE_TUNING_DROPOUT, is_resumable=True
    )
    try_as([(origin.weights, KERAS)])
    stored = stored_weights(origin.weights)
    untrained = set_weights(architecture.form, model, stored, source=origin.weights, keeps_head=False)
    history = fine_tune(
        model,
        run.images.train,
        preprocess,
        settings,
        untrained=untrained,
        epochs=origin.epochs,
        validation=run.images.validation,
        session=run.session,
        on_step=run.progress.step,
    )
    return model, history


def weights_options(run: Context) -> Options:
    """What decides a network of ours with the weights of a file."""
    origin = _origin(run, Stored)
    return {**network_options(run), "spec": origin.spec, "weights": path_hash(origin.weights)}


def read_weights(run: Context) -> Files:
    """A network of ours with the weights of a file, head and all."""
    from mbexport.models.keras_import.weights import stored_weights
    from mbexport.models.network import facts_of_spec
    from mbexport.models.training.train import make_deterministic

    plan, origin = run.plan, _origin(run, Stored)
    make_deterministic(plan.seed)
    architecture = architecture_of(origin.spec)
    model = architecture.build(origin.spec)
    stored = stored_weights(origin.weights)
    set_weights(architecture.form, model, stored, source=origin.weights, keeps_head=True)
    preprocess = plan.preprocess(resolution=origin.spec.resolution)
    return _files(model, facts_of_spec(model, origin.spec, preprocess))


def import_options(run: Context) -> Options:
    """What decides how somebody's model is read."""
    origin = _origin(run, Foreign)
    read = {"model": path_hash(origin.model), "resolution": origin.resolution, "trust": origin.trust}
    return {**network_options(run), **read}


def import_network(run: Context) -> Files:
    """Somebody's trained Keras model as a graph of known layers.

    What the model does to its own input becomes part of the normalization. Where nobody says what it expects, that
    is bytes for a model that rescales them itself, and the convention of MobileNet otherwise. Raises `DataError` for a
    model that rescales something else.
    """
    from mbexport.models.keras_import.model import import_model
    from mbexport.models.network import facts_of_network
    from mbexport.models.training.train import make_deterministic

    plan, origin = run.plan, _origin(run, Foreign)
    make_deterministic(plan.seed)
    found = import_model(origin.model, resolution=origin.resolution, trust=origin.trust)
    assumed = None if plan.normalization else _assumed(origin, found.input_scale, found.input_offset)
    outside = plan.normalization or NORMALIZATIONS[assumed or MOBILENET_NAME]
    _, height_px, width_px, channels = found.network.input_shape
    preprocess = Preprocess(
        resolution=Resolution(height_px=height_px, width_px=width_px),
        crop_fraction=plan.crop_fraction,
        channels=channels,
        normalization=outside.then(found.input_scale, found.input_offset),
    )
    facts = facts_of_network(found.network, preprocess, found.output)
    require_number_of_classes(run, facts.classes)
    if plan.bundling.is_required:
        require_no_alpha(channels, by="--platform: a bundle's app")
    own = {"scale": found.input_scale, "offset": found.input_offset, "assumed": assumed}
    return {**_files(found.network, facts), INPUT: json.dumps(own).encode()}


def _assumed(origin: Foreign, scale: tuple[float, ...], offset: tuple[float, ...]) -> str:
    """The name of the convention that a model is fed where nobody says one."""
    if (set(scale), set(offset)) == ({1.0}, {0.0}):
        return MOBILENET_NAME
    if own_normalization(scale, offset) is None:
        raise DataError(f"{origin.model}: {NO_BYTES}")
    return RAW_NAME


def require_classes(run: Context) -> None:
    """Raises `DataError` unless somebody's model gives a score for each class of the data, where these are known."""
    require_number_of_classes(run, run.float.facts.classes)


def train_settings(plan: BuildPlan, *, is_photos: bool, mixes: bool = False) -> "TrainSettings":
    """How networks learn from photos, and from digits, which must not be mirrored."""
    from mbexport.models.training.augment import DIGITS_AUGMENTATION, PHOTO_AUGMENTATION
    from mbexport.models.training.stream import TrainSettings

    augmentation = PHOTO_AUGMENTATION if is_photos else DIGITS_AUGMENTATION
    return TrainSettings(batch=_BATCH, seed=plan.seed, augmentation=replace(augmentation, mixes=mixes))


def distillation_settings(plan: BuildPlan, *, is_photos: bool) -> "TrainSettings":
    """The same for a network with a teacher, which knows what is right for a mix of two photos."""
    return train_settings(plan, is_photos=is_photos, mixes=is_photos)


def require_number_of_classes(run: Context, found: int) -> None:
    """Raises `DataError` unless somebody's model gives `found` scores for as many classes, where these are known."""
    classes = len(run.known_labels) if run.known_labels else None
    if classes is not None and found != classes:
        model = _origin(run, Foreign).model
        raise DataError(
            f"{model} must give a score for each class of the data, got {found} scores for {classes} classes"
        )


def _origin(run: Context, kind: type) -> Any:
    """The plan's origin; a stage is wanted for one kind only."""
    assert isinstance(run.plan.origin, kind)
    return run.plan.origin


def _files(model: Any, facts: "Facts") -> dict[str, bytes]:
    from mbexport.models.weights import weights_to_bytes

    return {NETWORK: facts_to_json(facts).encode(), WEIGHTS: weights_to_bytes(model)}
