"""Convert each layer of a Keras configuration, with its weights, to steps."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.keras_import import activations
from mbexport.models.keras_import.activations import activation_steps
from mbexport.models.keras_import.arithmetic import (
    concatenation_steps,
    join_steps,
    normalization_steps,
    operator_steps,
    rescaling_steps,
)
from mbexport.models.keras_import.calls import INPUT, Call
from mbexport.models.keras_import.configured import require_configured
from mbexport.models.keras_import.settings import TRAINING_ONLY, require_known_settings, require_not_wrapped
from mbexport.models.keras_import.steps import (
    Array,
    Average,
    Convolve,
    Dense,
    Maximum,
    Normalize,
    Pad,
    Padding,
    Pool,
    Shape,
    Step,
    Window,
)
from mbexport.models.keras_import.weights import Weights

_SUPPORTED: Final = (
    "convolutions, dense layers, batch normalization, ReLU, hard-swish, zero padding, pooling, rescaling, sums, "
    "products, concatenation, softmax and sigmoid"
)
Converter = Callable[[Call, Weights], list[Step]]


def steps_of(call: Call, weights: Weights) -> list[Step]:
    """The steps of the layer in inference. Raises `DataError` for a layer or a setting that is not supported."""
    converter = CONVERTERS.get(call.class_name)
    if converter is None:
        require_not_wrapped(call.name, call.class_name)
        raise DataError(f"{call} is not supported: a model may have {_SUPPORTED}")
    require_known_settings(call)
    tensors = sum(value is INPUT for value in call.operands)
    if tensors != len(call.inputs) or (tensors > 1 and call.class_name not in _JOINING):
        raise DataError(f"{call} takes {len(call.inputs)} tensors: only sums, products and concatenations may")
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
    """Strides and padding. Raises `DataError` for dilation or groups other than 1."""
    for key in ("dilation_rate", "groups"):
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
    return [Dense(name=call.name, kernel=kernel, bias=bias[0] if bias else None), *_fused(call)]


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


def _activation(call: Call, _: Weights) -> list[Step]:
    return activation_steps(call, call.config["activation"], name=call.name)


def _fused(call: Call) -> list[Step]:
    return activation_steps(call, call.config.get("activation"))


def _pad(call: Call, _: Weights) -> list[Step]:
    padding = call.config.get("padding", 1)
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    top, bottom = (rows, rows) if isinstance(rows, int) else rows
    left, right = (columns, columns) if isinstance(columns, int) else columns
    if not all(isinstance(side, int) and side >= 0 for side in (top, bottom, left, right)):
        raise DataError(f"{call} must have whole numbers from 0 as padding, got {padding}")
    return [Pad(name=call.name, amounts=((top, bottom), (left, right)))]


def _global_pool(kind: type[Pool]) -> Converter:
    return lambda call, _: [kind(name=call.name, is_flat=not call.config.get("keepdims", False))]


def _windows(kind: type[Pool]) -> Converter:
    def pooled(call: Call, _: Weights) -> list[Step]:
        size = _pair(call, "pool_size", 2)
        window = Window(size=size, strides=_pair(call, "strides", size), padding=_padding(call))
        return [kind(name=call.name, window=window)]

    return pooled


def _mean(call: Call, _: Weights) -> list[Step]:
    """A mean over height and width as a function of TensorFlow or an operation of Keras 3."""
    axes, keeps = call.config.get("axis"), bool(call.config.get("keepdims", False))
    for value in call.operands:
        axes, keeps = (value if isinstance(value, list) else axes), (value if isinstance(value, bool) else keeps)
    if axes not in ([1, 2], [2, 1], [-3, -2], [-2, -3]):
        raise DataError(f"{call} averages the axes {axes}: they must be height and width, [1, 2]")
    return [Average(name=call.name, is_flat=not keeps)]


def _flatten(call: Call, _: Weights) -> list[Step]:
    return [Shape(name=call.name, target=None)]


def _reshape(call: Call, _: Weights) -> list[Step]:
    return [Shape(name=call.name, target=tuple(map(int, call.config["target_shape"])))]


def _nothing(call: Call, _: Weights) -> list[Step]:
    del call
    return []


def _operator(call: Call, weights: Weights) -> list[Step]:
    """A function of TensorFlow or an operation of Keras 3: an activation, a mean, a join or arithmetic."""
    function = str(call.config.get("function", call.class_name))
    activation = _ACTIVATION_FUNCTIONS.get(function)
    if activation is not None:
        return activations.function_steps(call, activation)
    return _FUNCTIONS.get(function, operator_steps)(call, weights)


_ACTIVATION_FUNCTIONS: Final = MappingProxyType(
    {
        **dict.fromkeys(("Relu", "nn.relu"), "relu"),
        **dict.fromkeys(("Relu6", "nn.relu6"), "relu6"),
        "HardSigmoid": "hard_sigmoid",
        **dict.fromkeys(("HardSilu", "HardSwish"), "hard_swish"),
        **dict.fromkeys(("Sigmoid", "math.sigmoid", "nn.sigmoid"), "sigmoid"),
        **dict.fromkeys(("nn.softmax", "nn.softmax_v2"), "softmax"),
        **dict.fromkeys(("Silu", "Swish", "nn.silu", "nn.swish"), "silu"),
    }
)
_FUNCTIONS: Final[Mapping[str, Converter]] = MappingProxyType(
    {
        "concat": concatenation_steps,
        **dict.fromkeys(("clip_by_value", "Clip"), activations.clip_steps),
        **dict.fromkeys(("nn.leaky_relu", "LeakyRelu"), activations.leaky_function_steps),
        **dict.fromkeys(("math.reduce_mean", "Mean"), _mean),
    }
)
_JOINING: Final = frozenset({"Add", "Average", "Concatenate", "Multiply", "Subtract", "TFOpLambda"})

# Operations of Keras 3 that are not layers, and compute what a function of TensorFlow does.
OPERATIONS: Final = (
    "Clip", "HardSigmoid", "HardSilu", "HardSwish", "LeakyRelu", "Mean", "Relu", "Relu6", "Sigmoid", "Silu", "Swish",
)  # fmt: skip

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
        **activations.LAYERS,
        "PReLU": activations.prelu_steps,
        "Activation": _activation,
        "ZeroPadding2D": _pad,
        **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAvgPool2D"), _global_pool(Average)),
        **dict.fromkeys(("GlobalMaxPooling2D", "GlobalMaxPool2D"), _global_pool(Maximum)),
        **dict.fromkeys(("AveragePooling2D", "AvgPool2D"), _windows(Average)),
        **dict.fromkeys(("MaxPooling2D", "MaxPool2D"), _windows(Maximum)),
        "Flatten": _flatten,
        "Reshape": _reshape,
        "Rescaling": rescaling_steps,
        "Normalization": normalization_steps,
        **dict.fromkeys(("TFOpLambda", *OPERATIONS), _operator),
        **dict.fromkeys(("TrueDivide", "Divide", "Cast", "Identity", "StopGradient"), operator_steps),
        **dict.fromkeys(("Add", "Average", "Subtract", "Multiply"), join_steps),
        "Concatenate": concatenation_steps,
        **dict.fromkeys(TRAINING_ONLY, _nothing),
    }
)
