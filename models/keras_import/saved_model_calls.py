"""Convert the frozen graph of a SavedModel to steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.saved_model import ServingGraph
from mbexport.models.keras_import.steps import (
    Array,
    Average,
    Bound,
    Clip,
    Concatenate,
    Convolve,
    Dense,
    Finish,
    Leak,
    Maximum,
    Normalize,
    Pad,
    Padding,
    Product,
    Scale,
    Shape,
    Step,
    Sum,
    Window,
)

# What may be computed from weights alone; nothing else is ever run.
_OF_WEIGHTS: Final = frozenset(
    {
        "Add", "AddV2", "Cast", "ConcatV2", "Const", "ExpandDims", "GatherV2", "Identity", "Maximum", "Mul", "Neg",
        "Pack", "Prod", "RealDiv", "Reciprocal", "Reshape", "Rsqrt", "Sqrt", "Square", "Squeeze", "StopGradient",
        "Sub", "Transpose",
    }
)  # fmt: skip
# They run a function of the file, which may hold anything that the file does.
_WITH_FUNCTIONS: Final = frozenset({"PartitionedCall", "StatelessIf", "StatelessWhile"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCall:
    """An operation between image and output, with the steps that it is: `result` is the name of its tensor.

    `inputs` are the names of the tensors that it takes and that depend on the image.
    """

    label: str
    inputs: tuple[str, ...]
    result: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.label


def graph_calls(serving: ServingGraph) -> list[GraphCall]:
    """The operations from the image to the outputs, in order; those that do nothing have no steps.

    Raises `DataError` for foreign operations.
    """
    operations = _operations(serving)
    _require_computation(serving)
    wanted = {tensor.name: tensor for operation, data in operations for tensor in _constants_of(operation, data)}
    for tensor in wanted.values():
        _require_of_weights(tensor.op)
    with tf.compat.v1.Session(graph=serving.graph) as session:
        values = session.run(wanted)
    calls: list[GraphCall] = []
    taken: set[str] = set()
    for operation, data in operations:
        converter = _CONVERTERS.get(operation.type)
        if converter is None:
            raise DataError(f"operation {operation.name} ({operation.type}) is not supported")
        constants = [np.asarray(values[tensor.name]) for tensor in _constants_of(operation, data)]
        node = _Node(operation=operation, name=_name(operation, taken), tensors=data)
        steps = tuple(converter(node, constants))
        taken.update(step.name for step in steps)
        inputs = tuple(tensor.name for tensor in data)
        calls.append(GraphCall(label=node.label, inputs=inputs, result=operation.outputs[0].name, steps=steps))
    return calls


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """An operation between image and output, the name of its step, and those of its inputs that depend on the image."""

    operation: Any
    name: str
    tensors: tuple[Any, ...]

    @property
    def data(self) -> Any:
        """The first of the inputs that depend on the image."""
        return self.tensors[0]

    def attribute(self, key: str) -> Any:
        """An attribute as Python: bytes become text."""
        value = self.operation.get_attr(key)
        return value.decode("utf-8") if isinstance(value, bytes) else value

    @property
    def label(self) -> str:
        """The operation in an error message."""
        return f"operation {self.operation.name} ({self.operation.type})"


_Converter = Callable[[_Node, Sequence[NDArray[Any]]], list[Step]]


def _operations(serving: ServingGraph) -> list[tuple[Any, tuple[Any, ...]]]:
    """Each operation between image and outputs, with its inputs that depend on the image, which come first."""
    dependent = {serving.image.op}
    front = [serving.image.op]
    while front:
        reached = {consumer for output in front.pop().outputs for consumer in output.consumers()} - dependent
        dependent |= reached
        front += reached
    if any(output.op not in dependent for output in serving.outputs):
        raise DataError("the model's output does not depend on its image")
    found: dict[Any, tuple[Any, ...]] = {}
    waiting = [output.op for output in reversed(serving.outputs)]
    while waiting:
        operation = waiting[-1]
        data = tuple(tensor for tensor in operation.inputs if tensor.op in dependent)
        if operation.type == "Reshape":  # the shape may be computed from the image's, and is known anyway
            data = data[:1]
        missing = [tensor.op for tensor in data if tensor.op not in found and tensor.op is not serving.image.op]
        if missing:  # no circles: a `While` is no operation of a frozen graph that is supported
            waiting += reversed(missing)
            continue
        waiting.pop()
        if operation is not serving.image.op:
            _require_first_results(operation, data)
            found.setdefault(operation, data)
    return list(found.items())


def _require_first_results(operation: Any, data: tuple[Any, ...]) -> None:
    label = f"operation {operation.name} ({operation.type})"
    if any(tensor.value_index != 0 for tensor in data):
        raise DataError(f"{label} takes another than the first result of an operation, which is not supported")
    if len(data) > 1 and operation.type not in _JOINS:
        raise DataError(f"{label} takes {len(data)} tensors: only sums, products and concatenations may")


def _constants_of(operation: Any, data: tuple[Any, ...]) -> list[Any]:
    if operation.type in ("Reshape", "Squeeze"):
        return []
    return [tensor for tensor in operation.inputs if not any(tensor is each for each in data)]


def _require_of_weights(operation: Any) -> None:
    seen, front = set(), [operation]
    while front:
        one = front.pop()
        if one.type not in _OF_WEIGHTS:
            raise DataError(f"operation {one.name} ({one.type}) computes weights, and is not supported there")
        seen.add(one)
        front += [tensor.op for tensor in one.inputs if tensor.op not in seen]


def _require_computation(serving: ServingGraph) -> None:
    """Raise `DataError` if an output waits for anything that has a state, such as a write to a file.

    What is run to get weights, or the model's own answers, can then do nothing but compute.
    """
    seen, front = set(), [output.op for output in serving.outputs]
    while front:
        one = front.pop()
        if one.op_def.is_stateful or one.type in _WITH_FUNCTIONS:
            raise DataError(f"operation {one.name} ({one.type}) is not supported")
        seen.add(one)
        front += [other for other in (*(tensor.op for tensor in one.inputs), *one.control_inputs) if other not in seen]


def _name(operation: Any, taken: set[str]) -> str:
    """The Keras layer's name, which is the scope around the operation; with the operation's type if it is taken."""
    scopes = operation.name.split("/")
    name = scopes[-2] if len(scopes) > 1 else scopes[-1]
    if name in ("batchnorm", "clip_by_value", "separable_conv2d") and len(scopes) > 2:
        name = scopes[-3]
    return f"{name}_{operation.type.lower()}" if name in taken else name


def _nothing(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    if node.operation.type == "Cast" and not node.operation.outputs[0].dtype.is_floating:
        raise DataError(f"{node.label} casts to {node.operation.outputs[0].dtype.name}: it must be a float")
    return []


def _transpose(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    if constants[0].tolist() != list(range(constants[0].size)):  # dense layers of maps write one that does nothing
        raise DataError(f"{node.label} turns the axes to {constants[0].tolist()}: they must stay in order")
    return []


def _pad(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    batch, rows, columns, channels = ((int(one), int(other)) for one, other in constants[0])
    if batch != (0, 0) or channels != (0, 0) or any(np.any(value) for value in constants[1:]):
        raise DataError(f"{node.label} must add zeros around the map, got {constants[0].tolist()}")
    return [Pad(name=node.name, amounts=(rows, columns))]


def _convolution(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    if node.attribute("data_format") != "NHWC" or any(one != 1 for one in node.attribute("dilations")):
        raise DataError(f"{node.label} must be NHWC without dilations")
    _, height, width, _ = node.attribute("strides")
    padding = node.attribute("padding")
    steps: list[Step] = []
    if padding == "EXPLICIT":
        amounts = np.reshape(node.attribute("explicit_paddings"), (4, 2))
        steps += _pad(replace(node, name=f"{node.name}_pad"), [amounts])
    kernel = constants[0].astype(np.float64)
    strides = (int(height), int(width))
    is_depthwise = node.operation.type == "DepthwiseConv2dNative"
    return [
        *steps,
        Convolve(
            name=node.name, kernel=kernel, strides=strides, padding="same" if padding == "SAME" else "valid",
            is_depthwise=is_depthwise,
        ),
    ]  # fmt: skip


def _product(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    if node.attribute("transpose_a") or node.operation.inputs[0] is not node.data:
        raise DataError(f"{node.label} must multiply the map by weights")
    kernel = constants[0].astype(np.float64)
    return [Dense(name=node.name, kernel=kernel.T if node.attribute("transpose_b") else kernel)]


def _batch_norm(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    gamma, beta, mean, variance = (value.astype(np.float64) for value in constants)
    if node.attribute("is_training") or node.attribute("data_format") != "NHWC":
        raise DataError(f"{node.label} must be NHWC, with frozen statistics")
    epsilon = float(node.attribute("epsilon"))
    return [Normalize(name=node.name, gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon)]


def _arithmetic(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    if node.operation.type == "BiasAdd" and node.attribute("data_format") != "NHWC":
        raise DataError(f"{node.label} must be NHWC")
    if len(node.tensors) > 1:
        join = _JOINS.get(node.operation.type)
        if join is None:
            raise DataError(f"{node.label} takes two tensors: only sums and products may")
        return [join(name=node.name)]
    value: Array = np.asarray(constants[0], np.float64)
    if value.size != 1 and value.size != value.shape[-1]:
        raise DataError(f"{node.label} must have one constant, or one for each channel, got shape {value.shape}")
    value = value.reshape(-1)
    one, zero = np.ones(1), np.zeros(1)
    is_first = node.operation.inputs[0] is node.data
    match node.operation.type:
        case "Mul":
            factor, shift = value, zero
        case "RealDiv" if is_first:
            factor, shift = one / value, zero
        case "RealDiv":
            raise DataError(f"{node.label} divides by the map: only scaling it is supported")
        case "Sub":
            factor, shift = (one, -value) if is_first else (-one, value)
        case _:
            factor, shift = one, value
    return [Scale(name=node.name, factor=factor, shift=shift)]


def _clip(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    return [Clip(name=node.name, ceiling=6.0 if node.operation.type == "Relu6" else None)]


def _bound(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    value = float(constants[0].item()) if constants[0].size == 1 else float("nan")
    if node.operation.type == "Minimum" and value > 0:
        return [Bound(name=node.name, ceiling=value)]
    if node.operation.type == "Maximum" and value == 0:
        return [Bound(name=node.name, ceiling=None)]
    raise DataError(f"{node.label} clips at {constants[0].tolist()}: it must clip below 0, or above one positive value")


def _leak(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    return [Leak(name=node.name, slope=float(node.attribute("alpha")))]


def _concatenate(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    if len(constants) != 1 or len(node.tensors) < 2:
        raise DataError(f"{node.label} must join tensors that depend on the image")
    axis = int(constants[0]) % node.data.shape.rank
    return [Concatenate(name=node.name, axis=axis)]


def _mean(node: _Node, constants: Sequence[NDArray[Any]]) -> list[Step]:
    axes = sorted(int(axis) % 4 for axis in np.atleast_1d(constants[0]))
    if axes != [1, 2] or node.data.shape.rank != 4:
        raise DataError(f"{node.label} pools the axes {axes}: they must be height and width, [1, 2]")
    kind = Average if node.operation.type == "Mean" else Maximum
    return [kind(name=node.name, is_flat=not node.attribute("keep_dims"))]


def _windows(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    if node.attribute("data_format") != "NHWC":
        raise DataError(f"{node.label} must be NHWC")
    (height, width), (down, right) = (node.attribute(key)[1:3] for key in ("ksize", "strides"))
    padding: Padding = "same" if node.attribute("padding") == "SAME" else "valid"
    window = Window(size=(int(height), int(width)), strides=(int(down), int(right)), padding=padding)
    kind = Average if node.operation.type == "AvgPool" else Maximum
    return [kind(name=node.name, window=window)]


def _reshape(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    before, after = node.data.shape.as_list(), node.operation.outputs[0].shape.as_list()
    if None in after:
        raise DataError(f"{node.label} must give a shape that is known, got {after}")
    if after[0] == 1:
        return [Shape(name=node.name, target=tuple(after[1:]))]
    if len(after) != 2 or after[-1] != before[-1]:
        raise DataError(f"{node.label} reshapes {before} to {after}: it must keep the channels apart")
    return []  # the places of a map as one batch, for a product with weights; it comes back to the map afterwards


def _finish(node: _Node, _: Sequence[NDArray[Any]]) -> list[Step]:
    return [Finish(name=node.name, output=Output.SOFTMAX if node.operation.type == "Softmax" else Output.SIGMOID)]


_JOINS: Final[Mapping[str, type[Step]]] = MappingProxyType(
    {**dict.fromkeys(("Add", "AddV2"), Sum), "Mul": Product, "ConcatV2": Concatenate}
)
_CONVERTERS: Final[Mapping[str, _Converter]] = MappingProxyType(
    {
        **dict.fromkeys(("Identity", "StopGradient", "EnsureShape", "Cast"), _nothing),
        **dict.fromkeys(("Pad", "PadV2"), _pad),
        **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), _convolution),
        "Transpose": _transpose,
        "MatMul": _product,
        "FusedBatchNormV3": _batch_norm,
        **dict.fromkeys(("Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv"), _arithmetic),
        **dict.fromkeys(("Relu", "Relu6"), _clip),
        **dict.fromkeys(("Minimum", "Maximum"), _bound),
        "LeakyRelu": _leak,
        "ConcatV2": _concatenate,
        **dict.fromkeys(("Mean", "Max"), _mean),
        **dict.fromkeys(("AvgPool", "MaxPool"), _windows),
        **dict.fromkeys(("Reshape", "Squeeze"), _reshape),
        **dict.fromkeys(("Softmax", "Sigmoid"), _finish),
    }
)
