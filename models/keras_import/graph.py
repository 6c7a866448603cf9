"""Order the layers of a Keras configuration, nested to any depth, as the one chain that it describes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.models.keras_import.files import Config
from mbexport.models.keras_import.weights import NESTING_CLASSES, LayerPath, layer_name, nested_layers

CHAIN_ONLY: Final = "the model must be one chain of layers, without branches"
_KERAS_PACKAGES: Final = frozenset({"keras", "tensorflow", "tf_keras"})
INPUT: Final = object()  # stands for the tensor in a call's operands


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One layer of the chain: `operands` are the arguments of its call in order, `INPUT` for the tensor."""

    path: LayerPath
    class_name: str
    config: dict[str, Any]
    operands: tuple[Any, ...] = (INPUT,)

    @property
    def name(self) -> str:
        """The layer's own name, without those of the models around it."""
        return self.path[-1]

    def __str__(self) -> str:
        return f"layer {self.name} ({self.class_name})"


def chain_of(config: Config) -> tuple[Call, ...]:
    """The layers from the input to the output; input layers are left out.

    Raises `DataError` for branches, several inputs or outputs, and layers that are used twice.
    """
    if config["class_name"] not in NESTING_CLASSES:
        raise DataError(f"the model is a {config['class_name']}: it must be a functional or a Sequential model")
    return tuple(_flattened(config, ()))


def input_shape_of(config: Config) -> tuple[int | None, ...]:
    """(batch, h, w, channels) as the model's configuration gives it, None where it is open.

    Raises `DataError` if it gives none: a Sequential model that never saw an image.
    """
    inner = config["config"]
    for layer in _in_order(config):
        given = layer["config"] if isinstance(layer["config"], dict) else {}
        shape = given.get("batch_shape") or given.get("batch_input_shape")
        if shape is not None:
            return tuple(shape)
        if layer["class_name"] in NESTING_CLASSES:
            return input_shape_of(layer)
        break
    shape = inner.get("build_input_shape") if isinstance(inner, dict) else None
    shape = shape or config.get("build_config", {}).get("input_shape")
    if shape is None:
        raise DataError("the model has no input shape: build it, then save it again")
    return tuple(shape)


def _flattened(config: Config, outer: LayerPath) -> Iterator[Call]:
    for layer in _in_order(config):
        require_from_keras(f"layer {layer_name(layer)} ({layer['class_name']})", layer)
        _require_inference(layer)
        path = (*outer, layer_name(layer))
        if layer["class_name"] in NESTING_CLASSES:
            yield from _flattened(layer, path)
        elif layer["class_name"] != "InputLayer":
            operands = tuple(_operands(layer)) or (INPUT,)
            yield Call(path=path, class_name=str(layer["class_name"]), config=layer["config"], operands=operands)


def require_from_keras(what: str, described: Config) -> None:
    """Raise `DataError` for a custom class: it may have the name of one of Keras', and do something else."""
    module, registered = str(described.get("module") or "keras"), str(described.get("registered_name") or "")
    package = module.split(".", maxsplit=1)[0]
    if package == "tensorflow_model_optimization":
        return  # no layer of it is supported, which is said with more words
    if package == "builtins" and described.get("class_name") == "function":
        package = "keras"  # how both libraries write a function of TensorFlow, such as tf.nn.relu6
    if package not in _KERAS_PACKAGES or ">" in registered:
        raise DataError(f"{what} is of a custom class, {registered or module}: only layers of Keras are supported")


def _require_inference(layer: Config) -> None:
    """Raise `DataError` for a layer called with training=True: Keras 2 obeys it in inference, Keras 3 does not."""
    for node in layer.get("inbound_nodes", []):
        for entry in node if isinstance(node, list) else ():
            if isinstance(entry, list) and len(entry) > 3 and entry[3].get("training") is True:
                raise DataError(
                    f"layer {layer_name(layer)} ({layer['class_name']}) is called with training=True, "
                    "which makes the model's answers random: save it without"
                )


def _in_order(config: Config) -> list[Config]:
    """The layers of one model from its input to its output."""
    layers = nested_layers(config)
    if config["class_name"] == "Sequential":
        return layers
    by_name = {layer_name(layer): layer for layer in layers}
    inputs = _ends(config, "input_layers")
    (name,) = _ends(config, "output_layers") if len(_ends(config, "output_layers")) == 1 else _refuse_ends(config)
    if len(inputs) != 1:
        _refuse_ends(config)
    chain = [by_name[name]]
    while name != inputs[0]:
        name, number = _producer(by_name[name])
        chain.append(by_name[name])
        _require_call(by_name[name], number)
        if len(chain) > len(layers):
            raise DataError(f"the layers of {config['config'].get('name')} form a circle: {CHAIN_ONLY}")
    return chain[::-1]


def _ends(config: Config, key: str) -> list[str]:
    """The names of the layers where a functional model begins or ends: ["a", 0, 0] or a list or mapping of such."""
    ends = config["config"][key]
    if isinstance(ends, dict):
        ends = list(ends.values())
    return [str(ends[0])] if ends and isinstance(ends[0], str) else [str(end[0]) for end in ends]


def _refuse_ends(config: Config) -> list[str]:
    counts = f"{len(_ends(config, 'input_layers'))} inputs and {len(_ends(config, 'output_layers'))} outputs"
    raise DataError(f"the model {config['config'].get('name')} has {counts}: {CHAIN_ONLY}")


def _require_call(layer: Config, number: int) -> None:
    """Raises `DataError` for a call that the layer does not have: Keras waits for it for ever when it loads the model.

    A model inside another counts the call by which it was made, too; an input counts none.
    """
    kind, calls = layer["class_name"], len(layer["inbound_nodes"])
    if kind != "InputLayer" and not 0 <= number < calls + (kind in NESTING_CLASSES):
        raise DataError(f"layer {layer_name(layer)} ({kind}) has {calls} calls, and its call {number} is asked for")


def _producer(layer: Config) -> tuple[str, int]:
    """The name of the one layer whose output the layer takes, and the number of the call that gave it."""
    nodes = layer["inbound_nodes"]
    if len(nodes) != 1:
        how = "used more than once" if nodes else "connected to nothing"
        raise DataError(f"layer {layer_name(layer)} ({layer['class_name']}) is {how}: {CHAIN_ONLY}")
    producers = list(_tensors_in(nodes[0]))
    if len(producers) != 1:
        raise DataError(
            f"layer {layer_name(layer)} ({layer['class_name']}) takes {len(producers)} inputs: {CHAIN_ONLY}"
        )
    return producers[0]


def _tensors_in(value: Any) -> Iterator[tuple[str, int]]:
    """The layers whose outputs occur anywhere in a node, and their calls' numbers, in the notation of Keras 2 or 3."""
    tensor = _tensor(value)
    if tensor is not None:
        yield tensor
        value = value[3:] if isinstance(value, list) else ()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)


def _tensor(value: Any) -> tuple[str, int] | None:
    """The layer and the call in ["conv", 0, 0, ...] (Keras 2) or {"class_name": "__keras_tensor__", ...} (Keras 3).

    None for anything else.
    """
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        name, number, *_ = value["config"]["keras_history"]
        return str(name), int(number)
    is_reference = (
        isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str) and value[0] != "_CONSTANT_VALUE"
    )
    return (value[0], value[1]) if is_reference and all(type(index) is int for index in value[1:3]) else None


def _operands(layer: Config) -> Iterator[Any]:
    """The arguments of the layer's call: its tensor as `INPUT`, constants as numbers."""
    for node in layer.get("inbound_nodes", [])[:1]:
        if isinstance(node, dict):
            arguments = [*node.get("args", []), *_values(node.get("kwargs", {}))]
            flat = node
        else:
            flat = node if isinstance(node[0], str) else node[0]  # Keras 2 writes one tensor bare, or in a list
            first = flat[2] if flat[0] == "_CONSTANT_VALUE" else flat
            arguments = [first, *(_values(flat[3]) if len(flat) > 3 else ())]
        for value in arguments:
            yield INPUT if _tensor(value) is not None else plain_constant(value)


def _values(arguments: dict[str, Any]) -> list[Any]:
    """Named arguments without the name of the operation, which counts for nothing."""
    return [value for key, value in arguments.items() if key != "name"]


def plain_constant(value: Any) -> Any:
    """A constant without the wrapper in which Keras writes an array: {"config": {"value": [...]}}."""
    is_wrapped = isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__ndarray__", "__tensor__")
    return value["config"]["value"] if is_wrapped else value
