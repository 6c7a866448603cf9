"""Import a trained Keras model, of any file form, as the canonical network that the exporter works on."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.canonical import ChainBuilder, ChainState
from mbexport.models.keras_import.chain import Step, require_chain_shape
from mbexport.models.keras_import.files import model_config, report_damage, require_model
from mbexport.models.keras_import.graph import Call, chain_of, input_shape_of
from mbexport.models.keras_import.layers import steps_of
from mbexport.models.keras_import.saved_model import serving_graph
from mbexport.models.keras_import.saved_model_steps import GraphCall, graph_calls
from mbexport.models.keras_import.trust import resave_pickle, trusted_lambda_steps
from mbexport.models.keras_import.weights import layer_weights
from mbexport.models.resolution import Resolution

OnLayer = Callable[[Call | GraphCall, ChainState], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An imported model: network(image * input_scale + input_offset) equals what the original gives for `image`."""

    network: tf_keras.Model
    input_scale: tuple[float, ...]
    input_offset: tuple[float, ...]
    output: Output


def import_model(
    path: Path,
    *,
    resolution: Resolution | None = None,
    trust: bool = False,
    on_layer: OnLayer = lambda _call, _state: None,
) -> Imported:
    """Import the model in a .h5, a .keras or a SavedModel folder. Runs no code from the file unless `trust` is set.

    `resolution` is needed where the model's input is (None, None, channels); `on_layer` is called behind each layer.
    Raises `DataError`, in one line, for a damaged file, for a model that is not a chain of supported layers, and for
    another resolution than its own.
    """
    kind = require_model(path, trust=trust)
    if kind == "pickle":
        with tempfile.TemporaryDirectory() as folder:
            saved = resave_pickle(path, Path(folder))
            return _import_keras(saved, resolution=resolution, trust=trust, on_layer=on_layer)
    if kind == "folder":
        return _import_folder(path, resolution=resolution, trust=trust, on_layer=on_layer)
    return _import_keras(path, resolution=resolution, trust=trust, on_layer=on_layer)


def _import_keras(path: Path, *, resolution: Resolution | None, trust: bool, on_layer: OnLayer) -> Imported:
    config = model_config(path)
    if config is None:
        raise DataError(f"{path} holds weights without a network: pass it as --weights")
    with report_damage(path):
        calls = chain_of(config)
        shape = require_chain_shape(input_shape_of(config), resolution=resolution)
        weights = layer_weights(path, config)
        chain = ChainBuilder(shape)
        for call in calls:
            if call.class_name == "Lambda":
                chain.add(_lambda_steps(path, call, shape=chain.shape, trust=trust))
            else:
                chain.add(steps_of(call, weights.get(call.path, [])))
            on_layer(call, chain.state())
        return _imported(chain)


def _import_folder(path: Path, *, resolution: Resolution | None, trust: bool, on_layer: OnLayer) -> Imported:
    serving = serving_graph(path, resolution=resolution, trust=trust)
    with report_damage(path):
        chain = ChainBuilder(serving.input_shape)
        for call in graph_calls(serving):
            chain.add(call.steps)
            on_layer(call, chain.state())
        return _imported(chain)


def _lambda_steps(path: Path, call: Call, *, shape: tuple[int, ...], trust: bool) -> list[Step]:
    if not trust:
        raise DataError(
            f"{path} holds a Lambda layer ({call.name}), "
            "which runs code from the file when it is loaded: pass --trust if you trust it"
        )
    return trusted_lambda_steps(call, shape)


def _imported(chain: ChainBuilder) -> Imported:
    network = chain.network()
    scale, offset = chain.input_scale()
    return Imported(network=network, input_scale=scale, input_offset=offset, output=chain.output)
