"""Arrange the steps of a model as the entries of a canonical network, one for each layer that the exporter knows.

A scaling moves into the convolution that alone is read by it, or into those that read it, or through a mean; where
nothing can take it up, it becomes a depthwise 1x1 convolution. What stands at the image becomes part of the
normalization of images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.absorption import as_convolution, scale_input, scale_output
from mbexport.models.keras_import.entries import Canonical, Entry, readable, with_two_classes
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import (
    MAX_PX,
    Average,
    ByShape,
    Clip,
    Concatenate,
    Convolve,
    Dense,
    Finish,
    HardSigmoid,
    HardSwish,
    Join,
    Leak,
    Maximum,
    Normalize,
    Pad,
    Pool,
    Product,
    Scale,
    Shape,
    Step,
    Sum,
    Window,
    output_side,
    resolve_shape,
)
from mbexport.models.keras_import.tensors import IDENTITY, Scaling, Tensor

_OF_THE_INPUT: Final = (Scale, Normalize, Shape, ByShape)  # what may stand between the image and the network


def canonical_of(graph: StepGraph, input_shape: tuple[int, int, int]) -> Canonical:
    """The entries of the network that computes what `graph` does.

    Raises `DataError` for a step that the canonical network cannot hold, and unless the model holds a convolution and
    ends in one vector of at least 2 classes, or in one score.
    """
    return _Builder(graph, input_shape).build()


class _Builder:
    """Adds the entries of one step after the other; `_tensors` are the values of the graph so far, by number."""

    def __init__(self, graph: StepGraph, input_shape: tuple[int, int, int]) -> None:
        self._graph, self._input_shape = graph, input_shape
        self._readers = graph.readers()
        self._entries: list[Entry] = []
        self._tensors = {IMAGE: Tensor(shape=input_shape, view=input_shape)}
        self._input: Scaling | None = None  # once a step beyond it is met
        self._made: dict[tuple[int, int], Tensor] = {}

    def build(self) -> Canonical:
        for value, node in enumerate(self._graph.nodes):
            tensors = [self._read(each, node.step) for each in node.inputs]
            self._tensors[value] = self._added(node.step, tensors)
        output = self._settled(self._read(self._graph.output), "the end")
        if not any(isinstance(entry.step, Convolve) for entry in self._entries):
            raise DataError("the model holds no convolution: it must be a network of convolutions, such as MobileNet")
        _require_scores(output)
        built = Canonical(
            input_shape=self._input_shape,
            input=self._input or IDENTITY,
            entries=tuple(self._entries),
            tensors=self._tensors,
            output=output,
        )
        return readable(with_two_classes(built))

    def _read(self, value: int, step: Step | None = None) -> Tensor:
        """The tensor as `step` reads it; what waits at the image when the first step beyond it comes is the input's."""
        tensor, is_sole = self._tensors[value], self._readers[value] == 1
        if self._input is None and not (is_sole and isinstance(step, _OF_THE_INPUT)):
            if tensor.varies_by_place:
                raise _by_place(tensor, step.name if step else "the end")
            self._input = tensor.waiting
            tensor = self._tensors[value] = replace(tensor, waiting=IDENTITY)
        return replace(tensor, is_sole=tensor.is_sole and is_sole)

    def _added(self, step: Step, tensors: Sequence[Tensor]) -> Tensor:
        for tensor in tensors:
            if tensor.output is not Output.LOGITS and not isinstance(step, Shape):
                raise DataError(
                    f"{step.name} follows the {tensor.output} {tensor.output_name}: the model must end in it; "
                    "for a gate inside, train with a hard-sigmoid"
                )
        if isinstance(step, ByShape):
            (tensor,) = tensors
            for inner in step.steps(tensor.view):
                tensor = self._added(inner, [tensor])
            return tensor
        return _ADDERS[type(step)](self, step, *tensors)

    def _append(self, step: Step, *tensors: Tensor, shape: tuple[int, int, int], waiting: Scaling = IDENTITY) -> Tensor:
        """Add an entry that reads the sources of `tensors`; what it gives is like the first of them."""
        if not all(1 <= side <= MAX_PX for side in shape[:2]):
            raise DataError(f"{step.name} gives a map of {shape[0]} x {shape[1]}: each side must be from 1 to {MAX_PX}")
        first = tensors[0]
        self._entries.append(Entry(step=step, inputs=tuple(tensor.source for tensor in tensors)))
        return Tensor(
            shape=shape,
            view=shape if first.is_map else first.view,
            source=len(self._entries) - 1,
            waiting=waiting,
            waiting_name=first.waiting_name,
            end=first.end,
            output=first.output,
            output_name=first.output_name,
        )

    def _settled(self, tensor: Tensor, reader: str) -> Tensor:
        """The tensor with nothing that waits, for a step that cannot take it up."""
        if not tensor.is_scaled:
            return tensor
        if tensor.varies_by_place:
            raise _by_place(tensor, reader)
        key = (tensor.source, id(tensor.waiting))
        if key not in self._made:
            factor, shift = tensor.waiting
            step = as_convolution(tensor.waiting_name, factor=factor, shift=shift, channels=tensor.shape[2])
            self._made[key] = self._append(step, tensor, shape=tensor.shape)
        return replace(
            self._made[key], view=tensor.view, is_sole=False, end=tensor.end,
            output=tensor.output, output_name=tensor.output_name,
        )  # fmt: skip

    def _pad(self, step: Pad, tensor: Tensor) -> Tensor:
        if not tensor.is_map:
            raise DataError(f"{step.name} must pad a map, got shape {tensor.view}")
        if tensor.waiting[1].any():
            tensor = self._settled(tensor, step.name)
        (top, bottom), (left, right) = step.amounts
        height, width, channels = tensor.shape
        shape = (height + top + bottom, width + left + right, channels)
        return self._append(step, tensor, shape=shape, waiting=tensor.waiting)

    def _convolve(self, step: Convolve, tensor: Tensor) -> Tensor:
        if tensor.is_map:
            return self._append_convolution(step, tensor)
        if step.kernel.shape[:3] == (1, 1, math.prod(tensor.view)) and not step.is_depthwise:
            return self._multiply(Dense(name=step.name, kernel=step.kernel[0, 0], bias=step.bias), tensor)
        raise DataError(f"{step.name} must convolve a map, got shape {tensor.view}")

    def _append_convolution(self, step: Convolve, tensor: Tensor) -> Tensor:
        kh, kw, takes, _ = step.kernel.shape
        height, width, channels = tensor.shape
        if takes != channels:
            raise DataError(f"{step.name} must have weights for {channels} channels, got {takes}")
        if step.bias is not None and step.bias.shape != (step.channels,):
            raise DataError(f"{step.name} must have {step.channels} biases, got {step.bias.shape}")
        sides, is_padded = [], False
        for side, kernel, stride in zip((height, width), (kh, kw), step.strides, strict=True):
            sides.append(output_side(side, kernel, stride, step.padding))
            is_padded |= (sides[-1] - 1) * stride + kernel > side
        if is_padded and tensor.waiting[1].any():
            tensor = self._settled(tensor, f"the padding of {step.name}")
        if tensor.varies_by_place and ((kh, kw) != (height, width) or sides != [1, 1]):
            raise _by_place(tensor, step.name)
        if tensor.source != IMAGE or tensor.is_scaled:
            step = scale_input(step, factor=tensor.waiting[0], shift=tensor.waiting[1])
        return self._append(step, tensor, shape=(sides[0], sides[1], step.channels))

    def _multiply(self, step: Dense, tensor: Tensor) -> Tensor:
        height, width, channels = tensor.shape
        kh, kw = (1, 1) if tensor.keeps_channels else (height, width)
        takes, gives = step.kernel.shape
        if takes != kh * kw * channels:
            raise DataError(f"{step.name} must have weights for {kh * kw * channels} features, got {takes}")
        kernel = step.kernel.reshape(kh, kw, channels, gives)
        product = self._append_convolution(Convolve(name=step.name, kernel=kernel, bias=step.bias), tensor)
        return replace(product, view=(*tensor.view[:-1], gives))

    def _normalize(self, step: Normalize, tensor: Tensor) -> Tensor:
        tensor.require_last_axis(step.name, "normalizes", step.axis)
        is_by_channel = {tensor.shape[2], tensor.channels} == {step.gamma.size}
        if is_by_channel and isinstance(self._absorber(tensor), Convolve):
            return self._append(step, tensor, shape=tensor.shape)
        return self._scale(step.scale(), tensor)

    def _absorber(self, tensor: Tensor) -> Step | None:
        """The step that can take up what follows it: nothing waits, and nothing else reads what it gives."""
        is_free = tensor.source != IMAGE and tensor.is_sole and not tensor.is_scaled
        return self._entries[tensor.source].step if is_free else None

    def _scale(self, step: Scale, tensor: Tensor) -> Tensor:
        scaled = tensor.scaled(step)
        factor, shift = tensor.spread_out(step.factor, step.name), tensor.spread_out(step.shift, step.name)
        if self._input is not None and not (np.isfinite(factor).all() and np.isfinite(shift).all()):
            raise DataError(f"{step.name} must scale by finite numbers, got NaN or infinity")
        last, is_by_channel = self._absorber(tensor), {factor.size, shift.size} <= {1, tensor.shape[2]}
        if not (isinstance(last, Convolve | Normalize) and is_by_channel):
            return scaled
        entry = self._entries[tensor.source]
        absorbed = scale_output(last, factor=factor.reshape(-1), shift=shift.reshape(-1))
        self._entries[tensor.source] = replace(entry, step=absorbed, revision=entry.revision + 1)
        return replace(tensor, revision=entry.revision + 1)

    def _activate(self, step: Step, tensor: Tensor) -> Tensor:
        tensor = self._settled(tensor, step.name)
        return self._append(step, tensor, shape=tensor.shape)

    def _pool(self, step: Pool, tensor: Tensor) -> Tensor:
        if not tensor.is_map and tensor.channels != math.prod(tensor.view):
            raise DataError(f"{step.name} must pool a map, got shape {tensor.view}")
        height, width, channels = tensor.shape if tensor.is_map else (1, 1, tensor.channels)
        if tensor.varies_by_place and tensor.is_map:
            raise _by_place(tensor, step.name)
        if isinstance(step, Maximum) and (tensor.waiting[0] < 0).any():  # the largest would become the least
            tensor = self._settled(tensor, step.name)
        if step.window is None or step.window.is_whole(height, width):
            if tensor.is_map:  # else one place is pooled, which changes nothing
                whole = Window(size=(height, width), strides=(height, width), padding="valid")
                step = replace(step, window=None if isinstance(step, Average) else whole)
                tensor = self._append(step, tensor, shape=(1, 1, channels), waiting=tensor.waiting)
            return replace(tensor, view=(channels,) if step.is_flat else (1, 1, channels))
        if not tensor.is_map:
            raise DataError(f"{step.name} must pool a map, got shape {tensor.view}")
        window = step.window
        sides = [
            output_side(side, size, stride, window.padding)
            for side, size, stride in zip((height, width), window.size, window.strides, strict=True)
        ]
        return self._append(step, tensor, shape=(sides[0], sides[1], channels), waiting=tensor.waiting)

    def _join(self, step: Join, *tensors: Tensor) -> Tensor:
        """A sum or a product."""
        settled = [self._settled(tensor, step.name) for tensor in tensors]
        largest = max(settled, key=lambda tensor: math.prod(tensor.shape))
        for tensor in settled:
            is_alike = (tensor.shape, tensor.view) == (largest.shape, largest.view)
            is_gate = isinstance(step, Product) and tensor.shape == (1, 1, largest.shape[2])
            if not is_alike and not (is_gate and tensor.is_map and largest.is_map):
                shapes = " and ".join(str(each.view) for each in settled)
                legal = "one shape" + (", or one of (1, 1, channels)" if isinstance(step, Product) else "")
                raise DataError(f"{step.name} joins tensors of shapes {shapes}: they must have {legal}")
        if len({tensor.source for tensor in settled}) < max(2, len(settled)):
            raise DataError(f"{step.name} joins a tensor with itself, which is not supported")
        joined = self._append(step, *settled, shape=largest.shape)
        return replace(joined, view=largest.view)

    def _concatenate(self, step: Concatenate, *tensors: Tensor) -> Tensor:
        first = tensors[0]
        first.require_last_axis(step.name, "joins tensors", step.axis)
        for tensor in tensors:
            is_alike = tensor.view[:-1] == first.view[:-1] and tensor.shape[:2] == first.shape[:2]
            if not is_alike or tensor.varies_by_place or not (tensor.is_map or tensor.is_vector):
                shapes = " and ".join(str(each.view) for each in tensors)
                raise DataError(
                    f"{step.name} joins tensors of shapes {shapes}: they must be maps of one size, or means"
                )
        if len({tensor.source for tensor in tensors}) < len(tensors):
            tensors = tuple(self._settled(tensor, step.name) for tensor in tensors)
        if len({tensor.source for tensor in tensors}) < max(2, len(tensors)):
            raise DataError(f"{step.name} joins a tensor with itself, which is not supported")
        channels = sum(tensor.shape[2] for tensor in tensors)
        scaled = next((tensor for tensor in tensors if tensor.is_scaled), None)
        waiting = IDENTITY if scaled is None else _side_by_side(tensors)
        joined = self._append(step, *tensors, shape=(*first.shape[:2], channels), waiting=waiting)
        name = "" if scaled is None else scaled.waiting_name
        return replace(joined, view=(*first.view[:-1], channels), waiting_name=name)

    def _finish(self, step: Finish, tensor: Tensor) -> Tensor:
        if tensor.places[0] != 1:
            raise DataError(f"{step.name} ({step.output}) must follow one vector of classes, got a map {tensor.shape}")
        tensor.require_last_axis(step.name, "works", step.axis)
        return replace(tensor, output=step.output, output_name=step.name)

    def _reshape(self, step: Shape, tensor: Tensor) -> Tensor:
        size = math.prod(tensor.shape)
        target = (size,) if step.target is None else resolve_shape(step.target, size)
        if target not in (tensor.shape, tensor.places, (size,), (1, size), (1, 1, size)):
            raise DataError(
                f"{step.name} reshapes {tensor.shape} to {target}: it must give one vector, or the same map"
            )
        return replace(tensor, view=target, end=step.name)


_ADDERS: Final[Mapping[type[Step], Callable[..., Tensor]]] = MappingProxyType(
    {
        Pad: _Builder._pad,
        Convolve: _Builder._convolve,
        Dense: _Builder._multiply,
        Normalize: _Builder._normalize,
        Scale: _Builder._scale,
        **dict.fromkeys((Clip, Leak, HardSigmoid, HardSwish), _Builder._activate),
        **dict.fromkeys((Average, Maximum), _Builder._pool),
        **dict.fromkeys((Sum, Product), _Builder._join),
        Concatenate: _Builder._concatenate,
        Shape: _Builder._reshape,
        Finish: _Builder._finish,
    }
)


def _side_by_side(tensors: Sequence[Tensor]) -> Scaling:
    """What waits at each of the tensors, as one scaling of the channels of all of them."""
    parts: list[Any] = [
        np.concatenate([np.broadcast_to(tensor.waiting[part], (1, 1, tensor.shape[2])) for tensor in tensors], axis=2)
        for part in (0, 1)
    ]
    return parts[0], parts[1]


def _by_place(tensor: Tensor, reader: str) -> DataError:
    return DataError(
        f"{tensor.waiting_name} scales the places of a map differently before {reader}: that is supported only before "
        "a dense layer over all of the map"
    )


def _require_scores(output: Tensor) -> None:
    height, width, classes = output.shape
    if height * width != 1:
        raise DataError(f"the model must end in one vector of classes, got a map of {height} x {width}")
    if classes < 2 and output.output is Output.SOFTMAX:
        raise DataError(f"the model must have at least 2 outputs, or one sigmoid, got a softmax of {classes}")
