"""Convert each layer of a Keras configuration, with its weights, to steps of a chain."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.arithmetic import normalization_steps, operator_steps, rescaling_steps
from mbexport.models.keras_import.chain import (
    Array,
    Average,
    Clip,
    Convolve,
    Finish,
    Multiply,
    Normalize,
    Pad,
    Padding,
    Shape,
    Step,
    Window,
)
from mbexport.models.keras_import.configured import require_configured
from mbexport.models.keras_import.graph import CHAIN_ONLY, INPUT, Call, require_from_keras
from mbexport.models.keras_import.settings import TRAINING_ONLY, require_known_settings, require_not_wrapped
from mbexport.models.keras_import.weights import Weights

_SUPPORTED: Final = (
    "convolutions, dense layers, batch normalization, ReLU, zero padding, average pooling, rescaling, "
    "softmax and sigmoid"
)
Converter = Callable[[Call, Weights], list[Step]]


def steps_of(call: Call, weights: Weights) -> list[Step]:
    """The steps of the layer in inference. Raises `DataError` for a layer or a setting that is not supported."""
    converter = CONVERTERS.get(call.class_name)
    if converter is None:
        require_not_wrapped(call.name, call.class_name)
        raise DataError(f"{call} is not supported: a model may have {_SUPPORTED}")
    require_known_settings(call)
    if call.config.get("data_format") not in (None, "channels_last"):
        raise DataError(f"{call} has data_format {call.config['data_format']}: it must be channels_last")
    if not all(np.isfinite(tensor).all() for tensor in weights):
        raise DataError(f"the weights of {call} must be finite, got NaN or infinity")
    require_configured(call, weights)
    return converter(call, weights)


def _tensors(call: Call, weights: Weights, *, ranks: tuple[int, ...]) -> list[Array]:
    got = tuple(tensor.ndim for tensor in weights)
    if got != ranks:
        raise DataError(f"{call} must have weights of {ranks} axes, got {got or 'none'}")
    if not all(tensor.size for tensor in weights):
        raise DataError(f"{call} must have weights, got shapes {[tensor.shape for tensor in weights]}")
    return [tensor.astype(np.float64) for tensor in weights]


def _bias(call: Call) -> tuple[int, ...]:
    return (1,) if call.config.get("use_bias", True) else ()


def _pair(call: Call, key: str, default: int | tuple[int, int]) -> tuple[int, int]:
    value = call.config.get(key)
    value = default if value is None else value
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(side, int) and side >= 1 for side in pair):
        raise DataError(f"{call} must have two positive whole numbers as {key}, got {value}")
    return pair


def _geometry(call: Call) -> tuple[tuple[int, int], Padding]:
    """Strides and padding. Raises `DataError` for dilation, groups or a depth multiplier other than 1."""
    for key in ("dilation_rate", "groups", "depth_multiplier"):
        value = call.config.get(key, 1)
        if not all(one == 1 for one in (value if isinstance(value, list | tuple) else [value])):
            raise DataError(f"{call} has {key} {value}: it must be 1")
    return _pair(call, "strides", 1), _padding(call)


def _padding(call: Call) -> Padding:
    padding = str(call.config.get("padding", "valid")).lower()
    if padding == "same":
        return "same"
    if padding != "valid":
        raise DataError(f"{call} has padding {padding}: it must be same or valid")
    return "valid"


def _convolution(call: Call, weights: Weights) -> list[Step]:
    strides, padding = _geometry(call)
    kernel, *bias = _tensors(call, weights, ranks=(4, *_bias(call)))
    return [
        Convolve(name=call.name, kernel=kernel, bias=bias[0] if bias else None, strides=strides, padding=padding),
        *_fused(call),
    ]


def _depthwise(call: Call, weights: Weights) -> list[Step]:
    strides, padding = _geometry(call)
    kernel, *bias = _tensors(call, weights, ranks=(4, *_bias(call)))
    step = Convolve(
        name=call.name, kernel=kernel, bias=bias[0] if bias else None, strides=strides, padding=padding,
        is_depthwise=True,
    )  # fmt: skip
    return [step, *_fused(call)]


def _separable(call: Call, weights: Weights) -> list[Step]:
    strides, padding = _geometry(call)
    depthwise, pointwise, *bias = _tensors(call, weights, ranks=(4, 4, *_bias(call)))
    name = f"{call.name}_depthwise"
    return [
        Convolve(name=name, kernel=depthwise, strides=strides, padding=padding, is_depthwise=True),
        Convolve(name=call.name, kernel=pointwise, bias=bias[0] if bias else None),
        *_fused(call),
    ]


def _dense(call: Call, weights: Weights) -> list[Step]:
    kernel, *bias = _tensors(call, weights, ranks=(2, *_bias(call)))
    return [Multiply(name=call.name, kernel=kernel, bias=bias[0] if bias else None), *_fused(call)]


def _batch_norm(call: Call, weights: Weights) -> list[Step]:
    has_gamma, has_beta = call.config.get("scale", True), call.config.get("center", True)
    tensors = iter(_tensors(call, weights, ranks=(1,) * (2 + bool(has_gamma) + bool(has_beta))))
    gamma = next(tensors) if has_gamma else None
    beta = next(tensors) if has_beta else None
    mean, variance = tensors
    axis = call.config.get("axis", -1)
    epsilon = float(call.config.get("epsilon", 1e-3))  # Keras' default
    if not (epsilon >= 0 and np.all(variance + epsilon > 0)):
        raise DataError(f"{call} must have a positive variance")
    return [
        Normalize(
            name=call.name, gamma=np.ones_like(mean) if gamma is None else gamma,
            beta=np.zeros_like(mean) if beta is None else beta, mean=mean, variance=variance, epsilon=epsilon,
            axis=int(axis[0] if isinstance(axis, list) else axis),
        )
    ]  # fmt: skip


def _relu(call: Call, _: Weights) -> list[Step]:
    for key in ("negative_slope", "threshold"):
        if _number(call.config.get(key)):
            raise DataError(f"{call} has {key} {_number(call.config.get(key))}: it must be 0")
    ceiling = call.config.get("max_value")
    return [Clip(name=call.name, ceiling=None if ceiling is None else _number(ceiling))]


def _number(value: Any) -> float:
    """A setting that old Keras wrote as a wrapped array: {"class_name": "__ndarray__", "config": {"value": 6.0}}."""
    if isinstance(value, dict):
        value = value.get("value", value.get("config", {}).get("value"))
    return float(np.asarray(value if value is not None else 0, np.float64).item())


def _activation(call: Call, _: Weights) -> list[Step]:
    return activation_steps(call, call.config["activation"], name=call.name)


def _fused(call: Call) -> list[Step]:
    return activation_steps(call, call.config.get("activation"))


def activation_steps(call: Call, activation: Any, *, name: str | None = None) -> list[Step]:
    """The steps of an activation: by the name of a function, old or new, or as a ReLU or Softmax layer."""
    if isinstance(activation, dict):
        require_from_keras(f"the activation of {call}", activation)
        kind, config = activation.get("class_name"), activation.get("config")
        if kind in ("ReLU", "Softmax") and isinstance(config, dict):
            inner = Call(path=(*call.path[:-1], f"{call.name}_{kind.lower()}"), class_name=kind, config=config)
            return steps_of(inner, [])
        activation = config if kind == "function" else kind
    match activation:
        case None | "linear":
            return []
        case "relu":
            return [Clip(name=name or f"{call.name}_relu", ceiling=None)]
        case "relu6":  # a custom function of Keras' own MobileNet until 2.2.3, then one of TensorFlow's
            return [Clip(name=name or f"{call.name}_relu", ceiling=6.0)]
        case "softmax" | "softmax_v2":
            return [Finish(name=name or f"{call.name}_softmax", output=Output.SOFTMAX)]
        case "sigmoid":
            return [Finish(name=name or f"{call.name}_sigmoid", output=Output.SIGMOID)]
    raise DataError(f"{call} has the activation {activation}: it must be relu, relu6, softmax, sigmoid or linear")


def _softmax(call: Call, _: Weights) -> list[Step]:
    axis = call.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if len(axes) != 1 or not isinstance(axes[0], int):
        raise DataError(f"{call} has axis {axis}: it must be the last one")
    return [Finish(name=call.name, output=Output.SOFTMAX, axis=axes[0])]


def _pad(call: Call, _: Weights) -> list[Step]:
    padding = call.config.get("padding", 1)
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    top, bottom = (rows, rows) if isinstance(rows, int) else rows
    left, right = (columns, columns) if isinstance(columns, int) else columns
    if not all(isinstance(side, int) and side >= 0 for side in (top, bottom, left, right)):
        raise DataError(f"{call} must have whole numbers from 0 as padding, got {padding}")
    return [Pad(name=call.name, amounts=((top, bottom), (left, right)))]


def _global_average(call: Call, _: Weights) -> list[Step]:
    return [Average(name=call.name, is_flat=not call.config.get("keepdims", False))]


def _average(call: Call, _: Weights) -> list[Step]:
    window = Window(
        size=_pair(call, "pool_size", 2), strides=_pair(call, "strides", _pair(call, "pool_size", 2)),
        padding=_padding(call),
    )  # fmt: skip
    return [Average(name=call.name, window=window)]


def _flatten(call: Call, _: Weights) -> list[Step]:
    return [Shape(name=call.name, target=None)]


def _reshape(call: Call, _: Weights) -> list[Step]:
    return [Shape(name=call.name, target=tuple(map(int, call.config["target_shape"])))]


def _nothing(call: Call, _: Weights) -> list[Step]:
    del call
    return []


def _operator(call: Call, weights: Weights) -> list[Step]:
    """A function of TensorFlow or an operation of Keras 3: an activation, or arithmetic with a constant."""
    activation = _ACTIVATION_FUNCTIONS.get(str(call.config.get("function", call.class_name)))
    if activation is None:
        return operator_steps(call, weights)
    if any(value is not INPUT and value not in (None, -1) for value in call.operands):  # softmax(x, axis=1)
        raise DataError(f"{call} computes {activation} with {call.operands[1:]}: only its input is supported")
    return activation_steps(call, activation, name=call.name)


def _merge(call: Call, weights: Weights) -> list[Step]:
    """Add, Subtract and Multiply are layers of branches, or operations of Keras 3 with a constant."""
    if len(call.operands) < 2:
        raise DataError(f"{call} joins branches: {CHAIN_ONLY}")
    return operator_steps(call, weights)


_ACTIVATION_FUNCTIONS: Final = MappingProxyType(
    {
        **dict.fromkeys(("Relu", "nn.relu"), "relu"),
        **dict.fromkeys(("Relu6", "nn.relu6"), "relu6"),
        **dict.fromkeys(("Sigmoid", "math.sigmoid", "nn.sigmoid"), "sigmoid"),
        **dict.fromkeys(("nn.softmax", "nn.softmax_v2"), "softmax"),
    }
)

CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "Conv2D": _convolution,
        "DepthwiseConv2D": _depthwise,
        "SeparableConv2D": _separable,
        "Dense": _dense,
        **dict.fromkeys(
            ("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
            _batch_norm,
        ),
        "ReLU": _relu,
        "Activation": _activation,
        "Softmax": _softmax,
        "ZeroPadding2D": _pad,
        **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAvgPool2D"), _global_average),
        **dict.fromkeys(("AveragePooling2D", "AvgPool2D"), _average),
        "Flatten": _flatten,
        "Reshape": _reshape,
        "Rescaling": rescaling_steps,
        "Normalization": normalization_steps,
        **dict.fromkeys(("TFOpLambda", "Relu", "Relu6", "Sigmoid"), _operator),
        **dict.fromkeys(("TrueDivide", "Divide", "Cast", "Identity", "StopGradient"), operator_steps),
        **dict.fromkeys(("Add", "Subtract", "Multiply"), _merge),
        **dict.fromkeys(TRAINING_ONLY, _nothing),
    }
)
