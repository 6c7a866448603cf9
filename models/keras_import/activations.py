"""Convert activations to steps: layers, settings of other layers, functions of TensorFlow, operations of Keras 3."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.calls import INPUT, Call, plain_constant, require_from_keras
from mbexport.models.keras_import.settings import require_known_settings
from mbexport.models.keras_import.steps import Clip, Finish, HardSigmoid, HardSwish, Leak, Scale, Step
from mbexport.models.keras_import.weights import Weights

_KERAS_3: Final = 3
_LEAK: Final = 0.2  # the slope of leaky_relu in Keras 3 and TensorFlow, where none is given
_LEAK_OF_LAYERS: Final = 0.3  # that of LeakyReLU in both libraries
_SUPPORTED: Final = "relu, relu6, leaky_relu, hard_sigmoid, hard_swish, softmax, sigmoid or linear"
# Activations that networks are trained with, and one nearby that has an integer kernel everywhere.
_NEARBY: Final = MappingProxyType(
    {**dict.fromkeys(("swish", "silu", "gelu", "mish"), "hard_swish"), **dict.fromkeys(("elu", "selu"), "relu")}
)


def activation_steps(call: Call, activation: Any, *, name: str | None = None) -> list[Step]:
    """The steps of an activation: by the name of a function, old or new, or as a ReLU or Softmax layer."""
    if isinstance(activation, dict):
        require_from_keras(f"the activation of {call}", activation)
        kind, config = str(activation.get("class_name")), activation.get("config")
        if kind in LAYERS and isinstance(config, dict):
            inner = Call(path=(*call.path[:-1], f"{call.name}_{kind.lower()}"), class_name=kind, config=config)
            require_known_settings(inner)
            return LAYERS[kind](inner, [])
        activation = config if kind == "function" else kind
    if activation in (None, "linear"):
        return []
    steps = _FUNCTIONS.get(activation) if isinstance(activation, str) else None
    if steps is None:
        nearby = _NEARBY.get(activation) if isinstance(activation, str) else None
        advice = f": put {nearby} in its place, and train again" if nearby else f": it must be {_SUPPORTED}"
        raise DataError(f"{call} has the activation {activation}{advice}")
    return steps(call, name or f"{call.name}_{str(activation).removesuffix('_v2').removesuffix('6')}")


def function_steps(call: Call, activation: str) -> list[Step]:
    """The activation as a function of TensorFlow or an operation of Keras 3, which takes nothing but its input."""
    if any(value is not INPUT and value not in (None, -1) for value in call.operands):  # softmax(x, axis=1)
        raise DataError(f"{call} computes {activation} with {call.operands[1:]}: only its input is supported")
    return activation_steps(call, activation, name=call.name)


def leaky_function_steps(call: Call, _: Weights) -> list[Step]:
    """leaky_relu(x, alpha), as a function of TensorFlow or an operation of Keras 3."""
    given = [value for value in call.operands if value is not INPUT and value is not None]
    return [Leak(name=call.name, slope=_number(given[0] if given else call.config.get("negative_slope", _LEAK)))]


def clip_steps(call: Call, _: Weights) -> list[Step]:
    """clip_by_value(x, 0, ceiling), or Keras 3's clip."""
    settings = [call.config.get(key) for key in ("x_min", "x_max")]
    given = [value for value in (*call.operands, *settings) if value is not INPUT and value is not None]
    bounds = sorted(map(_number, given))
    if len(bounds) != 2 or bounds[0] != 0:
        raise DataError(f"{call} clips at {bounds}: it must clip below 0, and above one positive value")
    return [Clip(name=call.name, ceiling=bounds[1])]


def relu_steps(call: Call, _: Weights) -> list[Step]:
    """ReLU, with a ceiling or with a slope below 0."""
    threshold, slope = (_number(call.config.get(key)) for key in ("threshold", "negative_slope"))
    ceiling = call.config.get("max_value")
    if threshold:
        raise DataError(f"{call} has threshold {threshold}: it must be 0")
    if slope and ceiling is not None:
        raise DataError(f"{call} has negative_slope {slope} and max_value {_number(ceiling)}: one of them must be off")
    if slope:
        return [Leak(name=call.name, slope=slope)]
    return [Clip(name=call.name, ceiling=None if ceiling is None else _number(ceiling))]


def leaky_steps(call: Call, _: Weights) -> list[Step]:
    """LeakyReLU, whose slope Keras 2 calls alpha."""
    slope = call.config.get("negative_slope", call.config.get("alpha"))
    return [Leak(name=call.name, slope=_LEAK_OF_LAYERS if slope is None else _number(slope))]


def prelu_steps(call: Call, weights: Weights) -> list[Step]:
    """PReLU that learned one slope for all."""
    slopes = np.unique(weights[0]) if weights else np.empty(0)
    if slopes.size != 1:
        raise DataError(f"{call} has {slopes.size} different slopes: put one LeakyReLU in its place, and train again")
    return [Leak(name=call.name, slope=float(slopes[0]))]


def softmax_steps(call: Call, _: Weights) -> list[Step]:
    """The layer Softmax."""
    axis = call.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if len(axes) != 1 or not isinstance(axes[0], int):
        raise DataError(f"{call} has axis {axis}: it must be the last one")
    return [Finish(name=call.name, output=Output.SOFTMAX, axis=axes[0])]


def _number(value: Any) -> float:
    """A setting that old Keras wrote as a wrapped array: {"class_name": "__ndarray__", "config": {"value": 6.0}}."""
    value = plain_constant(value)
    if isinstance(value, dict):
        value = value.get("value")
    return float(np.asarray(value if value is not None else 0, np.float64).item())


def _hard_sigmoid(call: Call, name: str) -> list[Step]:
    """Keras 3's is min(max(x + 3, 0), 6) / 6, that of Keras 2 was min(max(0.2 x + 0.5, 0), 1)."""
    if call.keras >= _KERAS_3:
        return [HardSigmoid(name=name)]
    return [Scale(name=f"{name}_scale", factor=np.full(1, 0.2), shift=np.full(1, 0.5)), Clip(name=name, ceiling=1.0)]


# By the names of functions in either library, or those that it had.
_FUNCTIONS: Final[Mapping[str, Callable[[Call, str], list[Step]]]] = MappingProxyType(
    {
        "relu": lambda _, name: [Clip(name=name, ceiling=None)],
        # a custom function of Keras' own MobileNet until 2.2.3, then one of TensorFlow's
        "relu6": lambda _, name: [Clip(name=name, ceiling=6.0)],
        "leaky_relu": lambda _, name: [Leak(name=name, slope=_LEAK)],
        "hard_sigmoid": _hard_sigmoid,
        **dict.fromkeys(("hard_silu", "hard_swish"), lambda _, name: [HardSwish(name=name)]),
        **dict.fromkeys(("softmax", "softmax_v2"), lambda _, name: [Finish(name=name, output=Output.SOFTMAX)]),
        "sigmoid": lambda _, name: [Finish(name=name, output=Output.SIGMOID)],
    }
)
# Those that may also be the activation of another layer.
LAYERS: Final[Mapping[str, Callable[[Call, Weights], list[Step]]]] = MappingProxyType(
    {"ReLU": relu_steps, "LeakyReLU": leaky_steps, "Softmax": softmax_steps}
)
