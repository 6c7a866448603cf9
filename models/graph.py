"""A network as a graph: nodes in an order in which they can be computed, each with the names of the tensors it reads.

A chain is the case in which each node reads the one before it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import tf_keras

from mbexport.errors import StageError

_PLAIN_ARGUMENTS = frozenset({"training", "mask"})
T = TypeVar("T")


class Node(Protocol):
    """A part of a network that computes one tensor, which has the node's `name`.

    `inputs` are the names of the tensors that it reads, in the order of its arguments. With `is_output` the tensor is
    an output of the network.
    """

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def is_output(self) -> bool: ...


N = TypeVar("N", bound=Node)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNode:
    """One layer of a tf_keras network as a `Node`."""

    layer: Any
    inputs: tuple[str, ...]
    is_output: bool = False

    @property
    def name(self) -> str:
        """The layer's own name."""
        return str(self.layer.name)

    def apply(self, tensors: Sequence[Any], **options: Any) -> Any:
        """The layer's output for `tensors`, one for each of `inputs`."""
        return self.layer(argument(tensors), **options)


def argument(tensors: Sequence[Any]) -> Any:
    """The argument of a Keras layer: one tensor by itself, several as a list."""
    return tensors[0] if len(tensors) == 1 else list(tensors)


def layers_of(model: tf_keras.Model) -> list[LayerNode]:
    """The layers of a functional network behind its input, in Keras' own order, in which inputs come first.

    Raises `StageError` for a network with several inputs, and for a layer that is used twice, gives several tensors
    or takes more than tensors.
    """
    calls: dict[str, Any] = {}
    waiting = list(model.outputs)
    while waiting:
        layer, number, index = waiting.pop()._keras_history
        call = layer.inbound_nodes[number]
        if index:
            raise StageError(f"each layer must give one tensor, got several from {layer.name}")
        if layer.name not in calls:
            calls[layer.name] = call
            waiting.extend(call.keras_inputs)
        elif calls[layer.name] is not call:
            raise StageError(f"each layer must be used once, got several uses of {layer.name}")
    if len(model.inputs) != 1:
        raise StageError(f"the network must have one input, got {len(model.inputs)}")
    return [
        LayerNode(layer=layer, inputs=_read(layer, calls[layer.name]), is_output=layer.name in model.output_names)
        for layer in model.layers
        if not calls[layer.name].is_input
    ]


def _read(layer: Any, call: Any) -> tuple[str, ...]:
    """The names of the layers whose tensors `layer` reads in `call`."""
    if len(call.call_args) > 1 or not _PLAIN_ARGUMENTS.issuperset(call.call_kwargs):
        raise StageError(f"each layer must take tensors alone, got other arguments of {layer.name}")
    return tuple(str(tensor._keras_history.layer.name) for tensor in call.keras_inputs)


def entry_of(nodes: Sequence[Node]) -> str:
    """The name of the network's input: the one tensor that is read and not computed."""
    computed = {node.name for node in nodes}
    (entry,) = dict.fromkeys(name for node in nodes for name in node.inputs if name not in computed)
    return entry


def walk(nodes: Iterable[N], tensors: Mapping[str, T], compute: Callable[[N, Sequence[T]], T]) -> Iterator[tuple[N, T]]:
    """Yield each node, in order, with `compute(node, values of its inputs)`.

    `tensors` are the values that no node computes, by name. A value is released after its last reader.
    """
    nodes = list(nodes)
    last_reader = {name: node.name for node in nodes for name in node.inputs}
    held = dict(tensors)
    del tensors  # else the input would be kept to the end
    for node in nodes:
        held[node.name] = value = compute(node, [held[name] for name in node.inputs])
        for name in [name for name in held if last_reader.get(name, node.name) == node.name]:
            del held[name]
        yield node, value


def outputs_of(nodes: Iterable[N], tensors: Mapping[str, T], compute: Callable[[N, Sequence[T]], T]) -> dict[str, T]:
    """The values that `walk` computes for the outputs of the network, by name."""
    return {node.name: value for node, value in walk(nodes, tensors, compute) if node.is_output}


def only_readers(nodes: Iterable[N]) -> dict[str, N]:
    """The reader of each tensor that has exactly one and is no output of the network, by the tensor's name."""
    nodes = list(nodes)
    readers: dict[str, list[N]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.inputs):
            readers.setdefault(name, []).append(node)
    given_out = {node.name for node in nodes if node.is_output}
    return {name: those[0] for name, those in readers.items() if len(those) == 1 and name not in given_out}
