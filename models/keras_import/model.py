"""Turns a trained Keras model of any file form into the canonical network that the rest of the tool understands."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from mbexport.errors import DataError
from mbexport.models.keras_import.canonical import Canonical
from mbexport.models.keras_import.chain import Output, Step, require_chain_shape
from mbexport.models.keras_import.files import damage_reported, kind_of, model_config
from mbexport.models.keras_import.graph import Call, chain_of, input_shape_of
from mbexport.models.keras_import.layers import steps_of
from mbexport.models.keras_import.saved_model import serving_graph
from mbexport.models.keras_import.saved_model_steps import graph_steps
from mbexport.models.keras_import.trust import saved_from_pickle, trusted_lambda_steps
from mbexport.models.keras_import.weights import layer_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A model as a chain: network(image * input_scale + input_offset) is what the original gives for image."""

    network: tf_keras.Model
    input_scale: tuple[float, ...]
    input_offset: tuple[float, ...]
    output: Output


def import_model(path: Path, *, resolution_px: int | None = None, trust: bool = False) -> Imported:
    """The model in a .h5, a .keras or a SavedModel folder; no code from the file is run unless `trust` allows it.

    `resolution_px` is needed where the model's input is (None, None, channels). Raises `DataError`, in one line,
    for a damaged file, for anything that is no chain of a MobileNet's layers, and for a contradicting resolution.
    """
    kind = kind_of(path)
    if kind == "pickle":
        if not trust:
            raise DataError(f"{path} is a pickle, which runs code from the file when it is loaded; --trust loads it")
        with tempfile.TemporaryDirectory() as folder:
            saved = saved_from_pickle(path, Path(folder))
            return _import_keras(saved, resolution_px=resolution_px, trust=trust)
    if kind == "folder":
        return _import_folder(path, resolution_px=resolution_px, trust=trust)
    return _import_keras(path, resolution_px=resolution_px, trust=trust)


def _import_keras(path: Path, *, resolution_px: int | None, trust: bool) -> Imported:
    config = model_config(path)
    if config is None:
        raise DataError(f"{path} holds weights without the network they belong to; --weights takes such a file")
    with damage_reported(path):
        calls = chain_of(config)
        shape = require_chain_shape(input_shape_of(config), resolution_px=resolution_px)
        weights = layer_weights(path, config)
        chain = Canonical(shape)
        for call in calls:
            if call.class_name == "Lambda":
                chain.add(_lambda_steps(path, call, shape=chain.shape, trust=trust))
            else:
                chain.add(steps_of(call, weights.get(call.path, [])))
    return _finished(chain)


def _import_folder(path: Path, *, resolution_px: int | None, trust: bool) -> Imported:
    serving = serving_graph(path, resolution_px=resolution_px, trust=trust)
    with damage_reported(path):
        chain = Canonical(serving.input_shape)
        chain.add(graph_steps(serving))
    return _finished(chain)


def _lambda_steps(path: Path, call: Call, *, shape: tuple[int, ...], trust: bool) -> list[Step]:
    if not trust:
        raise DataError(
            f"{path} holds a Lambda layer ({call.name}), "
            "which runs code from the file when it is loaded; --trust loads it"
        )
    return trusted_lambda_steps(call, shape)


def _finished(chain: Canonical) -> Imported:
    network = chain.network()
    scale, offset = chain.input_scale()
    return Imported(network=network, input_scale=scale, input_offset=offset, output=chain.output)
