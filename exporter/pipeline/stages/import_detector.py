"""The float network of a detector that this tool built, read from a Keras file."""

import json
from typing import Any

from mbexport.errors import DataError
from mbexport.models.facts import facts_to_json
from mbexport.models.preprocess import MOBILENET_NAME
from mbexport.models.task import Task
from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import Foreign
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import INPUT, NETWORK, WEIGHTS
from mbexport.pipeline.stages import train
from mbexport.pipeline.stages.train_detector import detector_facts


def is_foreign_detector(run: Context) -> bool:
    """Whether a detector is read from a Keras file."""
    return run.plan.task is Task.DETECT and isinstance(run.plan.origin, Foreign)


def import_options(run: Context) -> Options:
    """What decides how the model is read."""
    origin = _origin(run)
    return {**train.import_options(run), "anchors": origin.anchors, "feature_stride": origin.feature_stride}


def import_network(run: Context) -> Files:
    """A detector of ours with the weights of a Keras file.

    Raises `DataError` for any other model, and for options and data that it does not fit.
    """
    from mbexport.models.keras_import.detector import import_detector
    from mbexport.models.ssd.anchor_choice import TABLES
    from mbexport.models.training.train import make_deterministic
    from mbexport.models.weights import weights_to_bytes

    plan, origin = run.plan, _origin(run)
    make_deterministic(plan.seed)
    found = import_detector(origin.model, resolution=origin.resolution, trust=origin.trust)
    _require_same(origin, "--feature-stride", origin.feature_stride, found.spec.feature_stride)
    _require_same(origin, "--anchors", origin.anchors, found.table_name)
    table = TABLES[origin.anchors or found.table_name or next(iter(TABLES))]
    network, preprocess = found.imported.network, plan.preprocess(resolution=found.spec.resolution)
    facts = detector_facts(network, found.spec, table, preprocess)
    train.require_number_of_classes(run, facts.classes)
    own = {"scale": [1.0], "offset": [0.0], "assumed": MOBILENET_NAME}
    return {
        NETWORK: facts_to_json(facts).encode(),
        WEIGHTS: weights_to_bytes(network),
        INPUT: json.dumps(own).encode(),
    }


def _require_same(origin: Foreign, option: str, given: Any, stored: Any) -> None:
    """Raises `DataError` for an option that says something else than the file."""
    if given is not None and stored is not None and given != stored:
        raise DataError(f"{origin.model} was trained with {option} {stored}, got {option} {given}: drop {option}")


def _origin(run: Context) -> Foreign:
    origin = run.plan.origin
    assert isinstance(origin, Foreign)
    return origin
