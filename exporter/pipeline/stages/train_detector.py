"""The float network of a detector, trained on images with boxes."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from mbexport.fingerprint import path_hash, tensorflow_threads
from mbexport.models.facts import Facts, Output, facts_to_json
from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import Trained
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import HISTORY, NETWORK, WEIGHTS
from mbexport.pipeline.stages.train import network_options

if TYPE_CHECKING:
    import tf_keras

    from mbexport.models.detection.anchors import AnchorTable
    from mbexport.models.preprocess import Preprocess
    from mbexport.models.ssd.anchor_choice import AnchorChoice
    from mbexport.models.ssd.spec import SsdSpec

_BATCH: Final = 32


def is_detector_trained(run: Context) -> bool:
    """Whether a detector learns here."""
    return run.plan.task is Task.DETECT and isinstance(run.plan.origin, Trained)


def train_options(run: Context) -> Options:
    """What decides what a detector learns."""
    origin, choice = _origin(run)
    return {
        **network_options(run),
        "spec": choice.chosen.spec,
        "table": asdict(choice.chosen.table),
        "epochs": origin.epochs,
        "weights": path_hash(origin.weights) if origin.weights else None,
        "data": run.images.fingerprints,
        "threads": tensorflow_threads(),
    }


def train(run: Context) -> Files:
    """A detector that has learned the training images; the best of its epochs, by the validation images.

    Without such images a tenth of the training images chooses it, never the test images.
    """
    from mbexport.formats.keras.format import KERAS
    from mbexport.formats.trial import try_as
    from mbexport.models.training.detection.augment import BoxAugmentation
    from mbexport.models.training.detection.objective import PackedAugmentation
    from mbexport.models.training.detection.train import train_detector
    from mbexport.models.training.stream import TrainSettings
    from mbexport.models.weights import weights_to_bytes

    origin, choice = _origin(run)
    spec = choice.chosen.spec
    if origin.weights is not None:
        try_as([(origin.weights, KERAS)])
    preprocess, images, aside = run.plan.preprocess(resolution=spec.resolution), run.images, run.images.validation
    model, history = train_detector(
        spec,
        images.boxed(images.train),
        None if aside is None else images.boxed(aside),
        preprocess,
        TrainSettings(batch=_BATCH, seed=run.plan.seed, augmentation=PackedAugmentation(how=BoxAugmentation())),
        weights=origin.weights,
        epochs=origin.epochs,
        table=choice.chosen.table,
        session=run.session,
        on_step=run.progress.step,
    )
    facts = detector_facts(model, spec, choice.chosen.table, preprocess)
    return {
        NETWORK: facts_to_json(facts).encode(),
        WEIGHTS: weights_to_bytes(model),
        HISTORY: json.dumps(history, indent=1).encode(),
    }


def detector_facts(model: "tf_keras.Model", spec: "SsdSpec", table: "AnchorTable", preprocess: "Preprocess") -> Facts:
    """The facts on a detector's core network, and how its outputs are read: from the anchors of `table`."""
    from mbexport.models.architectures import architecture_of
    from mbexport.models.detection.detector import Detector
    from mbexport.models.detection.settings import PostProcess
    from mbexport.models.stored_network import network_to_json

    architecture = architecture_of(spec)
    total = architecture.cost(spec)
    return Facts(
        preprocess=preprocess,
        classes=spec.classes,
        output=Output.DETECTIONS,
        alpha=spec.alpha,
        family=architecture.name,
        mult_adds=total.mult_adds,
        parameters=total.parameters,
        architecture=network_to_json(model),
        detector=Detector(table=table, maps=spec.maps, resolution=spec.resolution, settings=PostProcess()),
    )


def _origin(run: Context) -> "tuple[Trained, AnchorChoice]":
    origin = run.plan.origin
    assert isinstance(origin, Trained)
    assert origin.anchors is not None
    return origin, origin.anchors
