"""Import a trained Keras model, of any file form, as the canonical network that the exporter works on."""

import tempfile
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import import step_graph
from mbexport.models.keras_import.calls import IMAGE, Call, calls_of, input_shape_of, output_names
from mbexport.models.keras_import.canonical import canonical_of
from mbexport.models.keras_import.canonical_layers import network_of
from mbexport.models.keras_import.files import keras_version, model_config, report_damage, require_model
from mbexport.models.keras_import.heads import require_heads
from mbexport.models.keras_import.layers import steps_of
from mbexport.models.keras_import.patterns import with_activations
from mbexport.models.keras_import.saved_model import name_of_folder, serving_graph
from mbexport.models.keras_import.saved_model_calls import GraphCall, graph_calls
from mbexport.models.keras_import.step_graph import StepGraph
from mbexport.models.keras_import.steps import ByShape, Finish, Step, require_chain_shape
from mbexport.models.keras_import.trace import Trace, traces_of
from mbexport.models.keras_import.trust import resave_pickle, trusted_lambda_steps
from mbexport.models.keras_import.weights import Weights, layer_name, layer_weights
from mbexport.models.resolution import Resolution

Layer = Call | GraphCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An imported model: network(image * input_scale + input_offset) equals what the original gives for `image`.

    With `is_one_score` the original gives one score z or its sigmoid s, and the network (0, z) or (1 - s, s).
    `traces` say where in the network each of the original's layers is.
    """

    network: tf_keras.Model
    input_scale: tuple[float, ...]
    input_offset: tuple[float, ...]
    output: Output
    is_one_score: bool
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSteps:
    """A model as steps: `values` are the numbers of what each of its `layers` gives in the graph.

    The model's own `name` is empty where the file does not say it.
    """

    name: str
    graph: StepGraph
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    values: tuple[int, ...]

    @property
    def ending(self) -> Layer | None:
        """The layer that makes probabilities of the scores, if any."""
        numbers = [number for number, node in enumerate(self.graph.nodes) if isinstance(node.step, Finish)]
        behind = zip(self.layers, self.values, strict=True)
        return next((layer for layer, value in behind if numbers and value >= numbers[0]), None)


def import_model(path: Path, *, resolution: Resolution | None = None, trust: bool = False) -> Imported:
    """Import the model in a .h5, a .keras or a SavedModel folder. Runs no code from the file unless `trust` is set.

    `resolution` is needed where the model's input is (None, None, channels). Raises `DataError`, in one line, for a
    damaged file, for a model with layers that are not supported, and for another resolution than its own.
    """
    steps = model_steps(path, resolution=resolution, trust=trust)
    with report_damage(path):
        graph, numbers = with_activations(steps.graph)
        canonical = canonical_of(graph, steps.input_shape)
        network, names, scores = network_of(canonical)
        scale, offset = canonical.input_scale()
    found = zip(steps.layers, (numbers.get(value) for value in steps.values), strict=True)
    return Imported(
        network=network,
        input_scale=scale,
        input_offset=offset,
        output=canonical.output.output,
        is_one_score=canonical.is_one_score,
        traces=tuple(traces_of(canonical, found, names=names, scores=scores)),
    )


def model_steps(path: Path, *, resolution: Resolution | None, trust: bool, has_heads: bool = False) -> ModelSteps:
    """The layers of a stored model as steps: of one output or, where it `has_heads`, of those of a detector.

    Raises `DataError` as `import_model` does.
    """
    kind = require_model(path, trust=trust)
    if kind == "pickle":
        with tempfile.TemporaryDirectory() as folder:
            saved = resave_pickle(path, Path(folder))
            return _steps_of_keras(saved, resolution=resolution, trust=trust, has_heads=has_heads)
    if kind == "folder":
        return _steps_of_folder(path, resolution=resolution, trust=trust, has_heads=has_heads)
    return _steps_of_keras(path, resolution=resolution, trust=trust, has_heads=has_heads)


def _steps_of_folder(path: Path, *, resolution: Resolution | None, trust: bool, has_heads: bool) -> ModelSteps:
    serving = serving_graph(path, resolution=resolution, trust=trust, has_heads=has_heads)
    with report_damage(path):
        found = ((call, call.inputs, call.result, call.steps) for call in graph_calls(serving))
        outputs = [output.name for output in serving.outputs]
        name, shape = name_of_folder(path), serving.input_shape
        return _joined(found, image=serving.image.name, outputs=outputs, name=name, input_shape=shape)


def _steps_of_keras(path: Path, *, resolution: Resolution | None, trust: bool, has_heads: bool) -> ModelSteps:
    config = model_config(path)
    assert config is not None  # `require_model` has seen to that
    with report_damage(path):
        if has_heads:
            require_heads(path, output_names(config))
        calls = calls_of(config, keras=keras_version(path), has_heads=has_heads)
        shape = require_chain_shape(input_shape_of(config), resolution=resolution)
        weights = layer_weights(path, config)
        steps = (_steps_of_call(path, call, weights.get(call.path, []), trust=trust) for call in calls)
        found = ((call, call.inputs, call.path, each) for call, each in zip(calls, steps, strict=True))
        outputs = [(name,) for name in output_names(config)] if has_heads else [calls[-1].path if calls else IMAGE]
        return _joined(found, image=IMAGE, outputs=outputs, name=layer_name(config), input_shape=shape)


def _steps_of_call(path: Path, call: Call, weights: Weights, *, trust: bool) -> Sequence[Step]:
    if call.class_name != "Lambda":
        return steps_of(call, weights)
    if not trust:
        raise DataError(
            f"{path} holds a Lambda layer ({call.name}), "
            "which runs code from the file when it is loaded: pass --trust if you trust it"
        )
    return [ByShape(name=call.name, steps=lambda shape: trusted_lambda_steps(call, shape))]


def _joined(
    found: Iterable[tuple[Layer, Sequence[Hashable], Hashable, Iterable[Step]]],
    *,
    image: Hashable,
    outputs: Sequence[Hashable],
    name: str,
    input_shape: tuple[int, int, int],
) -> ModelSteps:
    """The graph of layers that are given with the names of the tensors that they take and give, and their steps.

    `outputs` are the names of the tensors that the model called `name` gives.
    """
    graph = StepGraph()
    values: dict[Hashable, int] = {image: step_graph.IMAGE}
    layers: list[Layer] = []
    numbers: list[int] = []
    for layer, inputs, result, steps in found:
        values[result] = graph.add(steps, [values[each] for each in inputs])
        layers.append(layer)
        numbers.append(values[result])
    graph.outputs = [values[each] for each in outputs]
    return ModelSteps(name=name, graph=graph, input_shape=input_shape, layers=tuple(layers), values=tuple(numbers))
