"""Store a network as a checked list of layers in JSON, and build it again from that.

The JSON has names and plain values only. A layer's kind is looked up in `_KINDS` and each value is checked before the
layer's own constructor gets it; Keras deserializes nothing, so that no text can name code that is then run.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tf_keras

from mbexport.documents import parse_json
from mbexport.errors import DataError, StageError
from mbexport.models.activations import HardSigmoid, HardSwish
from mbexport.models.graph import argument, entry_of, layers_of

_layers = tf_keras.layers
_Check = Callable[[Any], bool]
_MAX_SIZE: Final = 1 << 20  # of a side, a stride, a number of filters
_MAX_LAYERS: Final = 10_000
_FIELDS: Final = frozenset({"name", "input", "layers", "outputs"})
_LAYER_FIELDS: Final = frozenset({"name", "kind", "inputs", "settings"})


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 < value <= _MAX_SIZE


def _is_amount(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_SIZE


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_text(value: Any) -> bool:
    return type(value) is str and bool(value)


def _list_of(check: _Check, *lengths: int) -> _Check:
    return lambda value: type(value) is list and len(value) in lengths and all(map(check, value))


def _one_of(*legal: object) -> _Check:
    return lambda value: any(type(value) is type(each) and value == each for each in legal)


def _optional(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


_PAIR: Final = _list_of(_is_size, 2)
_CONVOLUTION: Final[Mapping[str, _Check]] = {
    "kernel_size": _PAIR,
    "strides": _PAIR,
    "padding": _one_of("same", "valid"),
    "dilation_rate": _PAIR,
    "use_bias": _is_bool,
}
_POOLING: Final[Mapping[str, _Check]] = {
    "pool_size": _PAIR,
    "strides": _PAIR,
    "padding": _one_of("same", "valid"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of layer: what makes one, and the settings that it is made with, each with the check of its value."""

    make: Callable[..., Any]
    settings: Mapping[str, _Check]


# By the name of the layer's class. Whatever differs from Keras' defaults has to be a setting: `network_to_json` looks.
_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "ZeroPadding2D": _Kind(make=_layers.ZeroPadding2D, settings={"padding": _list_of(_list_of(_is_amount, 2), 2)}),
        "Conv2D": _Kind(make=_layers.Conv2D, settings={"filters": _is_size, **_CONVOLUTION}),
        "DepthwiseConv2D": _Kind(make=_layers.DepthwiseConv2D, settings={"depth_multiplier": _is_size, **_CONVOLUTION}),
        "BatchNormalization": _Kind(
            make=_layers.BatchNormalization, settings={"momentum": _is_number, "epsilon": _is_number}
        ),
        "ReLU": _Kind(make=_layers.ReLU, settings={"max_value": _optional(_is_number)}),
        "LeakyReLU": _Kind(make=_layers.LeakyReLU, settings={"alpha": _is_number}),
        "HardSigmoid": _Kind(make=HardSigmoid, settings={}),
        "HardSwish": _Kind(make=HardSwish, settings={}),
        "Add": _Kind(make=_layers.Add, settings={}),
        "Multiply": _Kind(make=_layers.Multiply, settings={}),
        "Concatenate": _Kind(make=_layers.Concatenate, settings={}),
        "AveragePooling2D": _Kind(make=_layers.AveragePooling2D, settings=_POOLING),
        "MaxPooling2D": _Kind(make=_layers.MaxPooling2D, settings=_POOLING),
        "GlobalAveragePooling2D": _Kind(make=_layers.GlobalAveragePooling2D, settings={"keepdims": _is_bool}),
        "Dropout": _Kind(make=_layers.Dropout, settings={"rate": _is_number}),
        "Reshape": _Kind(make=_layers.Reshape, settings={"target_shape": _list_of(_is_size, 1, 2, 3)}),
        "Softmax": _Kind(make=_layers.Softmax, settings={}),
        "Activation": _Kind(make=_layers.Activation, settings={"activation": _one_of("sigmoid")}),
    }
)


def network_to_json(model: tf_keras.Model) -> str:
    """The layers of `model`, a functional network with one input, as JSON.

    Raises `StageError` for a layer of another kind, or with a setting that is not stored.
    """
    nodes = layers_of(model)
    stored = {
        "name": model.name,
        "input": {"name": entry_of(nodes), "shape": list(model.input_shape[1:])},
        "layers": [
            {
                "name": node.name,
                "kind": type(node.layer).__name__,
                "inputs": list(node.inputs),
                "settings": _settings(node.layer),
            }
            for node in nodes
        ],
        "outputs": list(model.output_names),
    }
    text = json.dumps(stored)
    _require_same(model, network_from_json(text))
    return text


def network_from_json(text: str) -> tf_keras.Model:
    """The network that `network_to_json` stored, with the weights of its initializers.

    Raises `DataError` for any other text; no layer is made before all of them are checked.
    """
    try:
        return _built(_checked(parse_json(text)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"not a stored network: {reason}") from None


def _settings(layer: Any) -> dict[str, Any]:
    kind = _KINDS.get(type(layer).__name__)
    if kind is None or type(layer) is not kind.make:
        legal = ", ".join(_KINDS)
        raise StageError(f"layers of a network that is stored must be one of {legal}, got {type(layer).__name__}")
    config = layer.get_config()
    return {name: _plain(config[name]) for name in kind.settings}


def _plain(value: Any) -> Any:
    """The value as JSON has it: Keras keeps some numbers as arrays of no dimension."""
    return value.item() if isinstance(value, np.ndarray | np.generic) else value


def _require_same(model: tf_keras.Model, rebuilt: tf_keras.Model) -> None:
    """Raises `StageError` unless both have the same layers, in the same order, with the same settings."""
    for one, other in zip(model.layers, rebuilt.layers, strict=True):
        if (type(one), one.get_config()) != (type(other), other.get_config()):
            raise StageError(f"the layer {one.name} of a network cannot be stored: it has settings of its own")


def _checked(fields: Any) -> dict[str, Any]:
    """The fields, once each is known to be a plain value of its kind. Raises `ValueError` otherwise."""
    _require(type(fields) is dict and set(fields) == _FIELDS, "a network", fields)
    _require(_is_text(fields["name"]), "a name", fields["name"])
    entry, layers = fields["input"], fields["layers"]
    _require(type(entry) is dict and set(entry) == {"name", "shape"}, "an input", entry)
    _require(_is_text(entry["name"]) and _list_of(_is_size, 3)(entry["shape"]), "an input", entry)
    _require(type(layers) is list and 0 < len(layers) <= _MAX_LAYERS, "a list of layers", layers)
    known = {entry["name"]}
    for layer in layers:
        _require_layer(layer, known)
        known.add(layer["name"])
    outputs = fields["outputs"]
    _require(type(outputs) is list and bool(outputs) and all(_is_text(each) for each in outputs), "outputs", outputs)
    _require(known.issuperset(outputs) and entry["name"] not in outputs, "outputs among the layers", outputs)
    return dict(fields)


def _require_layer(layer: Any, known: set[str]) -> None:
    """Raises `ValueError` unless `layer` is one of our kinds with its settings, and reads what comes before it."""
    _require(type(layer) is dict and set(layer) == _LAYER_FIELDS, "a layer", layer)
    name, inputs, settings = layer["name"], layer["inputs"], layer["settings"]
    _require(_is_text(name) and name not in known, "a new name", name)
    _require(type(layer["kind"]) is str and layer["kind"] in _KINDS, "a kind of layer", layer["kind"])
    _require(type(inputs) is list and bool(inputs) and all(_is_text(each) for each in inputs), "inputs", inputs)
    _require(known.issuperset(inputs), "inputs that come before", inputs)
    checks = _KINDS[layer["kind"]].settings
    _require(type(settings) is dict and set(settings) == set(checks), f"the settings of {name}", settings)
    for setting, check in checks.items():
        _require(check(settings[setting]), f"{setting} of {name}", settings[setting])


def _require(is_right: bool, what: str, found: Any) -> None:
    if not is_right:
        raise ValueError(f"it must have {what}, got {str(found)[:80]}")


def _built(fields: Mapping[str, Any]) -> tf_keras.Model:
    image = _layers.Input(tuple(fields["input"]["shape"]), name=fields["input"]["name"])
    tensors = {fields["input"]["name"]: image}
    for layer in fields["layers"]:
        settings = {name: _as_tuple(value) for name, value in layer["settings"].items()}
        made = _KINDS[layer["kind"]].make(name=layer["name"], **settings)
        tensors[layer["name"]] = made(argument([tensors[name] for name in layer["inputs"]]))
    outputs = argument([tensors[name] for name in fields["outputs"]])
    return tf_keras.Model(image, outputs, name=fields["name"])


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
