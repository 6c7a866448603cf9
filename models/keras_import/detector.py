"""Import an SSD that this tool built from any Keras file: recognized layer by layer, and built again with its weights.

Nothing is folded or renamed, so that the network is the one that was trained, to the bit: what is made of it is what
a build makes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from mbexport.errors import DataError, OptionError
from mbexport.models.facts import Output
from mbexport.models.graph import LayerNode, entry_of, layers_of
from mbexport.models.keras_import import detector_layers
from mbexport.models.keras_import.heads import HEADS, require_heads
from mbexport.models.keras_import.model import Imported, ModelSteps, model_steps
from mbexport.models.keras_import.patterns import with_activations
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import Array, Convolve, Scale
from mbexport.models.keras_import.trace import Trace
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.network import build
from mbexport.models.ssd.recognition import ConvolutionShape, spec_of_shapes
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.ssd.stored_name import table_of_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDetector:
    """A recognized detector: its network with the file's weights, and what that is.

    `table_name` names the anchors that the file says it was trained with, None if it says none.
    """

    imported: Imported
    spec: SsdSpec
    table_name: str | None


def import_detector(path: Path, *, resolution: Resolution | None = None, trust: bool = False) -> ImportedDetector:
    """Import the SSD in a .h5, a .keras or a SavedModel folder. Runs no code from the file unless `trust` is set.

    Raises `DataError`, in one line, for a damaged file and for any other network, by the first layer that differs.
    """
    steps = model_steps(path, resolution=resolution, trust=trust, has_heads=True)
    places = places_of_heads(path, steps)
    graph, numbers = with_activations(steps.graph)
    outputs = [graph.outputs[place] for place in places]
    try:
        spec = _spec_of(graph, outputs, steps.input_shape)
        matcher = _Matcher(graph, build(spec))
        for name, value in zip(HEADS, outputs, strict=True):
            matcher.match(name, value)
    except (DataError, OptionError) as error:
        raise DataError(f"{path} is no SSD-MobileNet that mbexport built: {error}") from None
    values = (None if value is None else numbers.get(value) for value in steps.values)
    imported = Imported(
        network=matcher.network(),
        input_scale=(1.0,),
        input_offset=(0.0,),
        output=Output.DETECTIONS,
        is_one_score=False,
        traces=tuple(matcher.traces(zip(steps.layers, values, strict=True))),
    )
    return ImportedDetector(imported=imported, spec=spec, table_name=table_of_name(steps.name))


def places_of_heads(path: Path, steps: ModelSteps) -> tuple[int, ...]:
    """The place among the model's outputs of each head: of `boxes_0`, `classes_0`, `boxes_1` and so on.

    Raises `DataError` for a model of other outputs.
    """
    return require_heads(path, [_output_name(steps.graph, value) for value in steps.graph.outputs])


def _output_name(graph: StepGraph, value: int) -> str:
    """The name of the layer that gives an output; in graphs a bias is an operation of its own behind it."""
    while value != IMAGE and isinstance(graph.nodes[value].step, Scale):
        (value,) = graph.nodes[value].inputs
    return "the image" if value == IMAGE else graph.nodes[value].step.name


def _spec_of(graph: StepGraph, outputs: Sequence[int], input_shape: tuple[int, int, int]) -> SsdSpec:
    """The description of the detector that gives these outputs."""
    height, width, channels = input_shape
    if channels != 3:
        raise DataError(f"the input must have 3 channels, got {channels}")
    *trunk, _ = _convolutions_to(graph, outputs[-1])
    widths = [step.channels for value in outputs for *_, step in [_convolutions_to(graph, value)]]
    return spec_of_shapes(
        [ConvolutionShape(channels=step.channels, stride=step.strides[0]) for step in trunk],
        list(zip(widths[0::2], widths[1::2], strict=True)),
        resolution=Resolution(height_px=height, width_px=width),
    )


def _convolutions_to(graph: StepGraph, value: int) -> list[Convolve]:
    """The convolutions between the image and a value, in order: every layer of an SSD reads one tensor."""
    found: list[Convolve] = []
    while value != IMAGE:
        node = graph.nodes[value]
        if len(node.inputs) != 1:
            raise DataError(f"{node.step.name} must read one tensor, got {len(node.inputs)}")
        found += [node.step] if isinstance(node.step, Convolve) else []
        (value,) = node.inputs
    if not found:
        raise DataError("an output must stand behind convolutions, got the image")
    return found[::-1]


class _Matcher:
    """Finds each layer of the network that is expected in the graph of a file, from the heads to the image."""

    def __init__(self, graph: StepGraph, expected: tf_keras.Model) -> None:
        nodes = layers_of(expected)
        self._graph, self._expected = graph, expected
        self._nodes: Mapping[str, LayerNode] = {node.name: node for node in nodes}
        self._values = {entry_of(nodes): IMAGE}
        self._weights: dict[str, list[Array]] = {}

    def match(self, name: str, value: int) -> None:
        """Take the value for what the layer `name` gives, and what that reads for what stands before it.

        Raises `DataError` for the first layer that is another one.
        """
        while name not in self._values:
            node = self._nodes[name]
            weights, source = detector_layers.READERS[type(node.layer).__name__](self._graph, value, node.layer)
            self._values[name], self._weights[name] = value, weights
            (name,), value = node.inputs, source
        if self._values[name] != value:
            raise DataError(f"the layer {name} must be read by each layer that follows it, got another in its place")

    def network(self) -> tf_keras.Model:
        """The network that was expected, with the weights that were found."""
        for name, weights in self._weights.items():
            self._nodes[name].layer.set_weights([value.astype(np.float32) for value in weights])
        return self._expected

    def traces(self, layers: Iterator[tuple[Any, int | None]]) -> Iterator[Trace]:
        """The layers of the file, each given with its value, of which the network has one."""
        names = {value: name for name, value in self._values.items() if value != IMAGE}
        one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
        for layer, value in layers:
            if value in names:
                yield Trace(
                    layer=layer, name=names[value], factor=one, shift=zero, is_second_class=False, is_relative=True
                )
