"""Write the configuration of an accepted model anew, with nothing in it that Keras could take for code.

Keras' own loader reads what a configuration names: modules, functions, registered classes. Here each layer is one of
`settings.READ` with the settings that decide its answers, in numbers and known words; initializers, regularizers,
policies and whatever else a file may hold are left out. The graph around the layers stays as it was stored.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from mbexport.errors import DataError
from mbexport.models.keras_import.activations import LAYERS
from mbexport.models.keras_import.calls import Call, plain_constant
from mbexport.models.keras_import.files import Config
from mbexport.models.keras_import.settings import READ, TRAINING_ONLY
from mbexport.models.keras_import.trust import lambda_config
from mbexport.models.keras_import.weights import NESTING_CLASSES, LayerPath, is_operation, layer_name, nested_layers

Library = Literal["keras", "tf_keras"]

_FLOAT: Final = "float32"
_LAYERS: Final = "keras.layers"
_MODELS: Final = MappingProxyType({"Functional": "keras.src.models.functional", "Sequential": "keras"})
# Where Keras 3 has its operations. Some have the name of a layer, too.
_OPERATIONS: Final = MappingProxyType(
    {
        **dict.fromkeys(("Add", "Subtract", "Multiply", "TrueDivide", "Divide"), "keras.src.ops.numpy"),
        **dict.fromkeys(("Clip", "Concatenate", "Mean"), "keras.src.ops.numpy"),
        **dict.fromkeys(("Cast", "StopGradient"), "keras.src.ops.core"),
        **dict.fromkeys(("Relu", "Relu6", "Sigmoid"), "keras.src.ops.nn"),
        **dict.fromkeys(("HardSigmoid", "HardSilu", "HardSwish", "LeakyRelu"), "keras.src.ops.nn"),
        "ReLU": "keras.src.activations.activations",
    }
)
_PLAIN: Final = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """How a configuration is written anew: for one `library`, without the probabilities of the layer `cut`, if any.

    With `keeps_code` Lambda layers stay what they are: only for a user who trusts the file.
    """

    library: Library
    cut: LayerPath | None = None
    keeps_code: bool = False

    def model(self, config: Config, outer: LayerPath = ()) -> Config:
        """The configuration of a model, nested ones with it. Raises `DataError` for what no accepted model has."""
        kind = "Sequential" if config["class_name"] == "Sequential" else "Functional"
        given = config["config"]
        inner: Config = {"name": layer_name(config), "trainable": True}
        inner["layers"] = [self._entry(layer, (*outer, layer_name(layer))) for layer in nested_layers(config)]
        if kind == "Functional":
            inner |= {key: _plain(given[key]) for key in ("input_layers", "output_layers")}
        elif isinstance(given, dict) and given.get("build_input_shape"):
            inner["build_input_shape"] = _plain(given["build_input_shape"])
        return self._described(kind, inner)

    def _entry(self, layer: Config, path: LayerPath) -> Config:
        """A layer, with the places from which it takes its input."""
        entry = self.model(layer, path) if layer["class_name"] in NESTING_CLASSES else self._layer(layer, path)
        nodes = layer.get("inbound_nodes")
        if nodes is None:
            return entry
        is_activation = entry["class_name"] == "Activation"  # takes one tensor, whatever stood there
        return {**entry, "name": path[-1], "inbound_nodes": [_node(node, bare=is_activation) for node in nodes]}

    def _layer(self, layer: Config, path: LayerPath) -> Config:
        class_name, given = str(layer["class_name"]), layer["config"]
        named: Config = {"name": path[-1]}
        if class_name == "InputLayer":
            key = "batch_shape" if self.library == "keras" else "batch_input_shape"
            shape = given.get("batch_shape") or given.get("batch_input_shape")
            return self._described(class_name, {**named, key: _plain(shape), "dtype": _FLOAT})
        if class_name == "Lambda" and self.keeps_code:
            return self._lambda(layer, path)
        if class_name not in READ:
            raise DataError(f"layer {path[-1]} ({class_name}) is not supported, or must be trusted")
        if class_name in TRAINING_ONLY or (path == self.cut and "activation" not in READ[class_name]):
            return self._described("Activation", {**named, "activation": "linear", "dtype": _FLOAT})
        settings = {key: self._setting(key, given[key]) for key in sorted(READ[class_name]) if key in given}
        if path == self.cut:
            settings["activation"] = "linear"
        if self.library == "keras" and class_name in _OPERATIONS and is_operation(layer):
            if class_name == "Cast":
                settings = dict.fromkeys(settings, _FLOAT)  # to any floats
            return self._described(class_name, {**named, **settings}, module=_OPERATIONS[class_name])
        shape = given.get("batch_shape") or given.get("batch_input_shape")  # in Sequential models of old versions
        if shape and self.library == "tf_keras":
            settings["batch_input_shape"] = _plain(shape)
        return self._described(class_name, {**named, **settings, "dtype": _FLOAT})

    def _lambda(self, layer: Config, path: LayerPath) -> Config:
        if self.library == "keras":
            return {key: value for key, value in layer.items() if key not in ("build_config", "inbound_nodes")}
        return self._described("Lambda", lambda_config(Call(path=path, class_name="Lambda", config=layer["config"])))

    def _setting(self, key: str, value: Any) -> Any:
        if key == "activation":
            return self._activation(value)
        return _plain(plain_constant(value))

    def _activation(self, value: Any) -> Any:
        """A function by its name, or the settings of a ReLU or a Softmax layer."""
        if not isinstance(value, dict):
            return "softmax" if value == "softmax_v2" else _plain(value)
        kind, inner = str(value.get("class_name")), value.get("config")
        if kind in LAYERS and isinstance(inner, dict):
            settings = {key: _plain(plain_constant(inner[key])) for key in sorted(READ[kind]) if key in inner}
            return self._described(kind, {**settings, "dtype": _FLOAT})
        return self._activation(inner if kind == "function" else kind)

    def _described(self, class_name: str, inner: Config, *, module: str = _LAYERS) -> Config:
        """A class as the library looks it up: tf_keras in its own table, Keras 3 in the named module."""
        if self.library == "tf_keras":
            return {"class_name": class_name, "config": inner}
        module = _MODELS.get(class_name, module)
        return {"module": module, "class_name": class_name, "config": inner, "registered_name": None}


def _node(node: Any, *, bare: bool) -> Any:
    """One use of a layer: references to tensors, and constants; with `bare` the reference alone."""
    if isinstance(node, dict):
        arguments, named = node.get("args", []), node.get("kwargs", {})
        if bare:
            return {"args": [_plain(value) for value in arguments[:1]], "kwargs": {}}
        return {"args": _plain(arguments), "kwargs": _plain({k: v for k, v in named.items() if k != "name"})}
    if bare:
        flat = node if isinstance(node[0], str) else node[0]
        return [[*_plain(flat[:3]), {}]]
    return _plain(node)


def _plain(value: Any) -> Any:
    """Numbers, words, lists of them, and references to tensors. Raises `DataError` for anything else."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise DataError(f"the model's configuration holds a {type(value).__name__}, which is not supported")
    if value.get("class_name") == "__keras_tensor__":
        history = value["config"]["keras_history"]
        shape = value["config"].get("shape")
        inner = {"shape": _plain(shape), "dtype": _FLOAT, "keras_history": _plain(history)}
        return {"class_name": "__keras_tensor__", "config": inner}
    if plain_constant(value) is not value:
        return _plain(plain_constant(value))
    if "class_name" in value or "module" in value:
        raise DataError(f"the model's configuration holds a {value.get('class_name')}, which is not supported")
    return {key: _plain(each) for key, each in value.items()}
