"""Hold the entries of a canonical network, and change those at its ends: what reads the image, and a single score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.step_graph import IMAGE
from mbexport.models.keras_import.steps import Array, Convolve, Pad, Step
from mbexport.models.keras_import.tensors import Scaling, Tensor

_COPY: Final = "image_copy"
_TWO_CLASSES: Final = "two_classes"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One layer of the network: a step, and the entries whose results it reads, `IMAGE` for the image.

    `revision` counts the scalings that it has taken up: a `Tensor` of an older one is what it gave before.
    """

    step: Step
    inputs: tuple[int, ...]
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Canonical:
    """The entries of a network, in order, and the `tensors` of the graph that they were made of, by number.

    The network takes image * input[0] + input[1]. With `is_one_score` the model gives one score, and the network two
    classes of which the second has it.
    """

    input_shape: tuple[int, int, int]
    input: Scaling
    entries: tuple[Entry, ...]
    tensors: Mapping[int, Tensor]
    output: Tensor
    is_one_score: bool = False

    def input_scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The factor and the shift of the input: one value each, or one for each channel."""
        channels = self.input_shape[2]
        factor, shift = (np.broadcast_to(value.reshape(-1), (channels,)) for value in self.input)
        if not (np.isfinite(factor).all() and np.isfinite(shift).all() and np.all(factor != 0)):
            raise DataError(
                f"the model multiplies its input by {factor.tolist()} and adds {shift.tolist()}: "
                "all must be finite, and no factor 0"
            )
        return _shortest(factor), _shortest(shift)


def with_two_classes(network: Canonical) -> Canonical:
    """The network with two classes for a single score z: the sigmoid s of z is the softmax of (0, z), (1 - s, s)."""
    output = network.output
    if output.shape[2] != 1:
        return network
    entries = list(network.entries)
    last = entries[output.source]
    kernel = last.step.kernel if isinstance(last.step, Convolve) and not last.step.is_depthwise else None
    if isinstance(last.step, Convolve) and kernel is not None and output.is_sole:
        bias = None if last.step.bias is None else np.append(0, last.step.bias)
        widened = replace(last.step, kernel=np.concatenate([np.zeros_like(kernel), kernel], axis=3), bias=bias)
        entries[output.source] = replace(last, step=widened)
        source = output.source
    else:
        step = Convolve(name=_TWO_CLASSES, kernel=np.array([0.0, 1.0]).reshape(1, 1, 1, 2))
        entries.append(Entry(step=step, inputs=(output.source,)))
        source = len(entries) - 1
    two = replace(
        output, source=source, shape=(1, 1, 2), view=(*output.view[:-1], 2),
        output=Output.LOGITS if output.output is Output.LOGITS else Output.SOFTMAX,
    )  # fmt: skip
    return replace(network, entries=tuple(entries), output=two, is_one_score=True)


def readable(network: Canonical) -> Canonical:
    """The network in which a full convolution alone reads the image, which then takes up how bytes are stored.

    A depthwise one in its place becomes a full one with zeros; before anything else stands a copy of the image.
    """
    value = IMAGE
    while True:
        readers = [number for number, entry in enumerate(network.entries) if value in entry.inputs]
        step = network.entries[readers[0]].step
        if len(readers) != 1 or not isinstance(step, Convolve | Pad):
            return _with_copy(network)
        (value,) = readers
        if isinstance(step, Convolve):
            entries = list(network.entries)
            entries[value] = replace(entries[value], step=_full(step) if step.is_depthwise else step)
            return replace(network, entries=tuple(entries))


def _full(step: Convolve) -> Convolve:
    """A depthwise convolution as a full one."""
    kh, kw, channels, multiplier = step.kernel.shape
    kernel = np.zeros((kh, kw, channels, channels, multiplier))
    for channel in range(channels):
        kernel[:, :, channel, channel] = step.kernel[:, :, channel]
    return replace(step, kernel=kernel.reshape(kh, kw, channels, channels * multiplier), is_depthwise=False)


def _with_copy(network: Canonical) -> Canonical:
    """The network behind a 1x1 convolution that gives the image as it is."""
    channels = network.input_shape[2]
    copy = Convolve(name=_COPY, kernel=np.eye(channels).reshape(1, 1, channels, channels))
    entries = [Entry(step=copy, inputs=(IMAGE,))]
    entries += [replace(entry, inputs=tuple(each + 1 for each in entry.inputs)) for entry in network.entries]
    tensors = {value: replace(tensor, source=tensor.source + 1) for value, tensor in network.tensors.items()}
    output = replace(network.output, source=network.output.source + 1)
    return replace(network, entries=tuple(entries), tensors=tensors, output=output)


def _shortest(values: Array) -> tuple[float, ...]:
    """The values as a tuple, of one where all are equal."""
    return tuple(map(float, values[:1] if np.all(values == values[0]) else values))
