"""Order the layers of a Keras configuration, nested to any depth, as the one graph that it describes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.models.keras_import.files import Config
from mbexport.models.keras_import.heads import advice_on_outputs
from mbexport.models.keras_import.weights import NESTING_CLASSES, LayerPath, layer_name, nested_layers

_KERAS_PACKAGES: Final = frozenset({"keras", "tensorflow", "tf_keras"})
_KERAS_2: Final = 2
_ONE_IMAGE: Final = "a model must take one image and give one vector of scores"
_ONCE: Final = "give each place a layer of its own, with the same weights where they are shared"
INPUT: Final = object()  # stands for a tensor in a call's operands
IMAGE: Final[LayerPath] = ()  # stands for the image among the calls whose tensors a call takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One layer of the graph, used once.

    `operands` are the arguments of its call in order, `INPUT` for each tensor, and `inputs` the paths of the layers
    that give these, `IMAGE` for the model's own input. `keras` is the version that wrote the file: 2 or 3.
    """

    path: LayerPath
    class_name: str
    config: dict[str, Any]
    operands: tuple[Any, ...] = (INPUT,)
    inputs: tuple[LayerPath, ...] = (IMAGE,)
    keras: int = _KERAS_2

    @property
    def name(self) -> str:
        """The layer's own name, without those of the models around it."""
        return self.path[-1]

    def __str__(self) -> str:
        return f"layer {self.name} ({self.class_name})"


def calls_of(config: Config, *, keras: int = _KERAS_2, has_heads: bool = False) -> tuple[Call, ...]:
    """The layers between the input and the output, each behind those whose tensors it takes; the last gives the output.

    Input layers are left out. Raises `DataError` for several inputs, layers that are used twice and, unless the model
    `has_heads`, several outputs.
    """
    if config["class_name"] not in NESTING_CLASSES:
        raise DataError(f"the model is a {config['class_name']}: it must be a functional or a Sequential model")
    calls: list[Call] = []
    _add_model(config, (), IMAGE, calls, keras=keras, has_heads=has_heads)
    return tuple(calls)


def input_shape_of(config: Config) -> tuple[int | None, ...]:
    """(batch, h, w, channels) as the model's configuration gives it, None where it is open.

    Raises `DataError` if it gives none: a Sequential model that never saw an image.
    """
    inner = config["config"]
    for layer, _ in _in_order(config, has_heads=True):  # how many outputs there may be is not asked here
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


def output_names(config: Config) -> list[str]:
    """The names of the layers that give the model's outputs, in its order. Raises `DataError` for outputs by name."""
    if config["class_name"] == "Sequential":
        return [layer_name(layer) for layer in nested_layers(config)[-1:]]
    if isinstance(config["config"]["output_layers"], dict):
        raise DataError("the outputs of a detector must be a list, got a mapping of names")
    return _ends(config, "output_layers")


def _add_model(
    config: Config, outer: LayerPath, image: LayerPath, calls: list[Call], *, keras: int, has_heads: bool = False
) -> LayerPath:
    """Append the calls of a model that takes the tensor `image`; the path of the layer that gives its output."""
    tensors: dict[str, LayerPath] = {}
    value = image
    for layer, producers in _in_order(config, has_heads=has_heads):
        inputs = tuple(tensors[name] for name in producers) or (image,)
        value = tensors[layer_name(layer)] = _add_layer(layer, outer, inputs, calls, keras=keras)
    return value


def _add_layer(
    layer: Config, outer: LayerPath, inputs: tuple[LayerPath, ...], calls: list[Call], *, keras: int
) -> LayerPath:
    """Append the call of a layer, or those of a model that is one; the path of the layer that gives its tensor."""
    kind, path = str(layer["class_name"]), (*outer, layer_name(layer))
    require_from_keras(f"layer {path[-1]} ({kind})", layer)
    _require_inference(layer)
    if kind == "InputLayer":
        return inputs[0]
    if kind in NESTING_CLASSES:
        if len(inputs) != 1:
            raise DataError(f"the model {path[-1]} takes {len(inputs)} inputs: {_ONE_IMAGE}")
        return _add_model(layer, path, inputs[0], calls, keras=keras)
    operands = tuple(_operands(layer)) or (INPUT,)
    calls.append(
        Call(path=path, class_name=kind, config=layer["config"], operands=operands, inputs=inputs, keras=keras)
    )
    return path


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


def _in_order(config: Config, *, has_heads: bool) -> list[tuple[Config, list[str]]]:
    """The layers of one model on which its outputs stand, with the names of those whose tensors each takes.

    Those come first. The layer where the model begins takes none.
    """
    layers = nested_layers(config)
    if config["class_name"] == "Sequential":
        before = [[], *([layer_name(layer)] for layer in layers[:-1])]
        return list(zip(layers, before, strict=True)) if layers else []
    by_name = {layer_name(layer): layer for layer in layers}
    inputs, outputs = _ends(config, "input_layers"), _ends(config, "output_layers")
    if len(inputs) != 1 or not (has_heads or len(outputs) == 1):
        counts = f"{len(inputs)} inputs and {len(outputs)} outputs"
        raise DataError(
            f"the model {config['config'].get('name')} has {counts}: {advice_on_outputs(outputs, _ONE_IMAGE)}"
        )
    order: dict[str, tuple[Config, list[str]]] = {}
    waiting, begun = outputs[::-1], set()
    while waiting:
        name = waiting[-1]
        producers = [] if name == inputs[0] else _producers(by_name, name)
        missing = [each for each in producers if each not in order]
        if not missing:
            order.setdefault(name, (by_name[name], producers))
            waiting.pop()
        elif name in begun:
            raise DataError(f"the layers of {config['config'].get('name')} form a circle, and no network")
        else:
            begun.add(name)
            waiting += reversed(missing)
    return list(order.values())


def _ends(config: Config, key: str) -> list[str]:
    """The names of the layers where a functional model begins or ends: ["a", 0, 0] or a list or mapping of such."""
    ends = config["config"][key]
    if isinstance(ends, dict):
        ends = list(ends.values())
    return [str(ends[0])] if ends and isinstance(ends[0], str) else [str(end[0]) for end in ends]


def _require_call(layer: Config, number: int) -> None:
    """Raise `DataError` for a call that the layer does not have: Keras waits for it for ever when it loads the model.

    A model inside another counts the call by which it was made, too; an input counts none.
    """
    kind, calls = layer["class_name"], len(layer["inbound_nodes"])
    if kind != "InputLayer" and not 0 <= number < calls + (kind in NESTING_CLASSES):
        raise DataError(f"layer {layer_name(layer)} ({kind}) has {calls} calls, and its call {number} is asked for")


def _producers(by_name: dict[str, Config], name: str) -> list[str]:
    """The names of the layers whose tensors a layer takes, in order.

    Raises `DataError` for a layer that is used twice, and for a call that a producer does not have.
    """
    layer = by_name[name]
    nodes, what = layer["inbound_nodes"], f"layer {name} ({layer['class_name']})"
    if len(nodes) > 1:
        raise DataError(f"{what} is used more than once: {_ONCE}")
    producers = list(_tensors_in(nodes[0])) if nodes else []
    if not producers:
        raise DataError(f"{what} is connected to nothing: {_ONE_IMAGE}")
    for producer, number in producers:
        _require_call(by_name[producer], number)
    return [producer for producer, _ in producers]


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
    """The arguments of the layer's call: its tensors as `INPUT`, also those in a list, and constants as numbers."""
    for node in layer.get("inbound_nodes", [])[:1]:
        if isinstance(node, dict):
            arguments = [*node.get("args", []), *_values(node.get("kwargs", {}))]
        else:
            uses = [node] if isinstance(node[0], str) else node  # Keras 2 writes one tensor bare, or in a list
            named = uses[0][3] if len(uses[0]) > 3 else {}
            arguments = [*(use[2] if use[0] == "_CONSTANT_VALUE" else use for use in uses), *_values(named)]
        yield from _flat(arguments)


def _flat(arguments: Iterable[Any]) -> Iterator[Any]:
    for value in arguments:
        if _tensor(value) is not None:
            yield INPUT
        elif isinstance(value, list) and any(_tensor(each) is not None for each in value):
            yield from _flat(value)
        else:
            yield plain_constant(value)


def _values(arguments: dict[str, Any]) -> list[Any]:
    """Named arguments without the name of the operation, which counts for nothing."""
    return [value for key, value in arguments.items() if key != "name"]


def plain_constant(value: Any) -> Any:
    """A constant without the wrapper in which Keras writes an array: {"config": {"value": [...]}}."""
    is_wrapped = isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__ndarray__", "__tensor__")
    return value["config"]["value"] if is_wrapped else value
