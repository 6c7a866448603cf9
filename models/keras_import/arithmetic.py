"""Convert the arithmetic of Keras models (rescaling, normalization, operators, joins of tensors) to steps."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import INPUT, Call, plain_constant
from mbexport.models.keras_import.steps import Array, Concatenate, Product, Scale, Step, Sum
from mbexport.models.keras_import.weights import Weights

# What adapt() adds to the variance: Keras' epsilon (keras.backend.epsilon), below which the deviation is cut off.
_LEAST_DEVIATION: Final = 1e-7

# (factor, shift) of f(x, c) = x * factor + shift, and of f(c, x).
_Affine = tuple[Array, Array]
_OPERATORS: Final[Mapping[str, tuple[Callable[[Array], _Affine], Callable[[Array], _Affine] | None]]] = (
    MappingProxyType(
        {
            "add": (lambda c: (np.ones(1), c), lambda c: (np.ones(1), c)),
            "subtract": (lambda c: (np.ones(1), -c), lambda c: (-np.ones(1), c)),
            "multiply": (lambda c: (c, np.zeros(1)), lambda c: (c, np.zeros(1))),
            "divide": (lambda c: (1 / c, np.zeros(1)), None),
        }
    )
)
# The names of the four operators: of TensorFlow's functions, of Python's operators, and of Keras 3's classes.
_OPERATOR_NAMES: Final = MappingProxyType(
    {
        **dict.fromkeys(("Add", "add", "math.add", "nn.bias_add", "__operators__.add", "__operators__.radd"), "add"),
        **dict.fromkeys(
            ("Subtract", "subtract", "math.subtract", "__operators__.sub", "__operators__.rsub"), "subtract"
        ),
        **dict.fromkeys(
            ("Multiply", "multiply", "math.multiply", "__operators__.mul", "__operators__.rmul"), "multiply"
        ),
        **dict.fromkeys(("TrueDivide", "Divide", "divide", "math.divide", "math.truediv"), "divide"),
        **dict.fromkeys(("truediv", "realdiv", "math.divide_no_nan", "__operators__.truediv"), "divide"),
    }
)
_JOINS: Final[Mapping[str | None, type[Step]]] = MappingProxyType({"add": Sum, "multiply": Product})
_CASTS: Final = frozenset({"Cast", "cast", "dtypes.cast"})
_FLOATS: Final = frozenset({"float16", "bfloat16", "float32", "float64"})
_IDENTITIES: Final = frozenset({"identity", "Identity", "stop_gradient", "StopGradient"})


def operator_steps(call: Call, _: Weights) -> list[Step]:
    """A TFOpLambda or a Keras 3 operation: + - * / with a constant as a `Scale`, + and * of tensors as a join.

    Casts to floats are nothing.
    """
    function = str(call.config.get("function", call.class_name))
    if function in _IDENTITIES:
        return []
    if function in _CASTS:
        return _cast(call)
    operands = [value for value in call.operands if value is not None and not _is_name_of_layout(value)]
    operator = _OPERATOR_NAMES.get(function)
    if operator in _JOINS and len(operands) == 2 and all(value is INPUT for value in operands):
        return [_JOINS[operator](name=call.name)]
    is_plain = all(value is INPUT or _is_number(value) for value in operands)
    if operator is None or not is_plain or len(operands) != 2 or sum(value is INPUT for value in operands) != 1:
        raise DataError(f"{call} computes {function}: only + - * / with a constant, and + * of tensors are supported")
    forward, backward = _OPERATORS[operator]
    is_forward = (operands[0] is INPUT) != function.startswith("__operators__.r")
    chosen = forward if is_forward else backward
    if chosen is None:
        raise DataError(f"{call} divides by the image: only scaling it is supported")
    constant = _constants(operands[1] if operands[0] is INPUT else operands[0])
    factor, shift = chosen(constant)
    return [Scale(name=call.name, factor=factor, shift=shift)]


def join_steps(call: Call, weights: Weights) -> list[Step]:
    """The layers Add, Multiply and Average of several tensors, or the operations of Keras 3 that have these names."""
    count = len(call.inputs)
    if call.class_name == "Average" and count > 1:
        factor = np.full(1, 1 / count)
        return [Sum(name=call.name), Scale(name=call.name, factor=factor, shift=np.zeros(1))]
    if count < 3 or call.class_name not in ("Add", "Multiply"):
        return operator_steps(call, weights)
    return [_JOINS[call.class_name.lower()](name=call.name)]


def concatenation_steps(call: Call, _: Weights) -> list[Step]:
    """The layer Concatenate, the function concat, or Keras 3's operation: along `axis` in its settings or arguments."""
    given = [value for value in call.operands if value is not INPUT and value is not None]
    axis = given[0] if given else call.config.get("axis", -1)
    if len(given) > 1 or type(axis) is not int or len(call.inputs) < 2:
        raise DataError(f"{call} must join several tensors along one axis, got {axis}")
    return [Concatenate(name=call.name, axis=axis)]


def _cast(call: Call) -> list[Step]:
    target = call.config.get("dtype") if call.class_name == "Cast" else call.operands[-1]
    for value in (target, *call.operands[1:]):
        if isinstance(value, str) and value in _FLOATS:
            return []
    raise DataError(f"{call} casts to {target}: it must be one of {', '.join(sorted(_FLOATS))}")


def _is_name_of_layout(value: Any) -> bool:
    """Whether it is an argument that says where the channels are: last, as in every supported layer."""
    return value in ("NHWC", "N...C") if isinstance(value, str) else False


def _is_number(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _constants(value: Any) -> Array:
    """One number, or one for each channel: leading axes of length 1 are dropped."""
    array = np.asarray(value, np.float64)
    if array.size != array.shape[-1:][0] if array.ndim else False:
        raise DataError(f"a constant must have one value for each channel, got shape {array.shape}")
    return array.reshape(-1)


def rescaling_steps(call: Call, _: Weights) -> list[Step]:
    """The Rescaling layer as a step: x * scale + offset."""
    factor, shift = (_constants(plain_constant(call.config.get(key, 0.0))) for key in ("scale", "offset"))
    return [Scale(name=call.name, factor=factor, shift=shift)]


def normalization_steps(call: Call, weights: Weights) -> list[Step]:
    """The Normalization layer as a step: (x - mean) / deviation, or its inverse, with given or adapted statistics."""
    axis = call.config.get("axis", -1)
    if axis not in (-1, 3, [-1], [3], None, []):
        raise DataError(f"{call} has axis {axis}: it must be the last one, the channels")
    mean, variance = (call.config.get(key) for key in ("mean", "variance"))
    if mean is None or variance is None:
        if len(weights) < 2:
            raise DataError(f"{call} holds no mean and variance: adapt it, or give them")
        mean, variance = weights[0], weights[1]
    means, deviations = (
        _constants(plain_constant(mean)),
        np.maximum(np.sqrt(_constants(plain_constant(variance))), _LEAST_DEVIATION),
    )
    if call.config.get("invert"):
        return [Scale(name=call.name, factor=deviations, shift=means)]
    return [Scale(name=call.name, factor=1 / deviations, shift=-means / deviations)]
