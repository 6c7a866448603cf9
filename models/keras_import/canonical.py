"""Build the canonical network of an imported model: the tf_keras layers that the exporter knows, from a chain of steps.

Scalings that no convolution can absorb must stand at the input, and become part of the normalization of images.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import tf_keras

from mbexport.errors import DataError
from mbexport.models.facts import INPUT_NAME, Output
from mbexport.models.keras_import.chain import (
    MAX_PX,
    Array,
    Average,
    Clip,
    Convolve,
    Finish,
    Multiply,
    Normalize,
    Pad,
    Scale,
    Shape,
    Step,
    clean_name,
    resolve_shape,
    scale_input,
    scale_output,
)

_layers = tf_keras.layers
_IDENTITY: Final = (np.ones((1, 1, 1)), np.zeros((1, 1, 1)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainState:
    """A chain up to some layer: `entries` of image * before[0] + before[1], then times `factor` plus `shift`.

    `output` is what the layers up to there end in.
    """

    entries: tuple[Step, ...]
    before: tuple[Array, Array]
    factor: Array
    shift: Array
    output: Output


class ChainBuilder:
    """Builds a network step by step: `add` every step in order, then call `network()`.

    Factors and shifts that follow no convolution wait in `_waiting`, as (1, 1, 1) to (height, width, channels),
    until the next convolution takes them up. What waits when the first layer comes belongs to the input.
    """

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        self._input_shape = input_shape
        self._shape = input_shape
        # The shape that the model has in the place of `_shape`: the same, or (places, channels), or one vector with
        # axes of 1 before it.
        self._view: tuple[int, ...] = input_shape
        self._waiting: tuple[Array, Array] = _IDENTITY
        self._waiting_name = ""
        self._input: tuple[Array, Array] = _IDENTITY
        self._entries: list[Step] = []
        self._end = "reshape"
        self._output_name = "predictions"
        self.output = Output.LOGITS

    def add(self, steps: Iterable[Step]) -> None:
        """Append the steps. Raises `DataError` for a step that the canonical network cannot hold."""
        for step in steps:
            if self.output is not Output.LOGITS and not isinstance(step, Shape):
                raise DataError(f"{step.name} follows the {self.output}: the model must end in it")
            _ADDERS[type(step)](self, step)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example behind the last step, as the model has it: (height, width, channels) or (n,)."""
        return self._view

    def state(self) -> "ChainState":
        """What the network computes up to here."""
        factor, shift = self._waiting
        before = self._input if self._entries else _IDENTITY
        return ChainState(entries=tuple(self._entries), before=before, factor=factor, shift=shift, output=self.output)

    def input_scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The factor and the shift of the input: one value each, or one for each channel."""
        channels = self._input_shape[2]
        factor, shift = (np.broadcast_to(value.reshape(-1), (channels,)) for value in self._input)
        if not (np.isfinite(factor).all() and np.isfinite(shift).all() and np.all(factor != 0)):
            raise DataError(
                f"the model multiplies its input by {factor.tolist()} and adds {shift.tolist()}: "
                "all must be finite, and no factor 0"
            )
        return _shortest(factor), _shortest(shift)

    def network(self) -> tf_keras.Model:
        """The network: (batch, h, w, channels) float32 to (batch, classes) float32.

        Raises `DataError` unless the chain has a convolution and ends in one vector of at least 2 classes.
        """
        self._require_whole()
        classes = self._shape[2]
        names: set[str] = {INPUT_NAME}
        x = image = _layers.Input(self._input_shape, name=INPUT_NAME)
        built = [layer_of(step, name=_unique(step.name, names)) for step in self._entries]
        for layer, _ in built:
            x = layer(x)
        x = _layers.Reshape((classes,), name=_unique(self._end, names))(x)
        if self.output is Output.SOFTMAX:
            x = _layers.Softmax(name=_unique(self._output_name, names))(x)
        elif self.output is Output.SIGMOID:
            x = _layers.Activation("sigmoid", name=_unique(self._output_name, names))(x)
        for layer, weights in built:
            layer.set_weights([value.astype(np.float32) for value in weights])
        return tf_keras.Model(image, x, name="imported")

    def _require_whole(self) -> None:
        if not self._has_convolution():
            raise DataError("the model holds no convolution: it must be a chain of convolutions, such as MobileNet v1")
        self._require_nothing_waits("the end")
        height, width, classes = self._shape
        if height * width != 1:
            raise DataError(f"the model must end in one vector of classes, got a map of {height} x {width}")
        if classes < 2:
            raise DataError(f"the model must have at least 2 outputs, got {classes}")

    def _has_convolution(self) -> bool:
        return any(isinstance(entry, Convolve) for entry in self._entries)

    def _require_nothing_waits(self, before: str) -> None:
        if self._waiting is not _IDENTITY:
            raise DataError(
                f"{self._waiting_name} scales the map before {before}: a scaling must directly follow a convolution, "
                "or precede one without padding"
            )

    def _append(self, entry: Step, shape: tuple[int, int, int]) -> None:
        if not self._entries:
            if self._varies_by_place():
                self._require_nothing_waits(entry.name)
            self._input, self._waiting = self._waiting, _IDENTITY
        if not all(1 <= side <= MAX_PX for side in shape[:2]):
            raise DataError(
                f"{entry.name} gives a map of {shape[0]} x {shape[1]}: each side must be from 1 to {MAX_PX}"
            )
        self._entries.append(entry)
        if self._is_map:
            self._view = shape
        self._shape = shape

    @property
    def _is_map(self) -> bool:
        """Whether the model has the map in the shape that it has here."""
        return self._view == self._shape

    @property
    def _keeps_channels(self) -> bool:
        """Whether the last axis of the model's shape is that of the channels, and not of all values."""
        return self._view in (self._shape, self._places)

    @property
    def _places(self) -> tuple[int, int]:
        height, width, channels = self._shape
        return height * width, channels

    def _pad(self, step: Pad) -> None:
        if not self._is_map:
            raise DataError(f"{step.name} must pad a map, got shape {self._view}")
        if self._entries and self._waiting[1].any():
            self._require_nothing_waits(step.name)
        (top, bottom), (left, right) = step.amounts
        height, width, channels = self._shape
        self._append(step, (height + top + bottom, width + left + right, channels))

    def _convolve(self, step: Convolve) -> None:
        if self._is_map:
            self._append_convolution(step)
        elif step.kernel.shape[:3] == (1, 1, math.prod(self._view)) and not step.is_depthwise:
            self._multiply(Multiply(name=step.name, kernel=step.kernel[0, 0], bias=step.bias))
        else:
            raise DataError(f"{step.name} must convolve a map, got shape {self._view}")

    def _append_convolution(self, step: Convolve) -> None:
        kh, kw, takes, gives = step.kernel.shape
        height, width, channels = self._shape
        if takes != channels:
            raise DataError(f"{step.name} must have weights for {channels} channels, got {takes}")
        gives = channels if step.is_depthwise else gives
        if step.bias is not None and step.bias.shape != (gives,):
            raise DataError(f"{step.name} must have {gives} biases, got {step.bias.shape}")
        sides = []
        is_padded = False
        for side, kernel, stride in zip((height, width), (kh, kw), step.strides, strict=True):
            out = -(-side // stride) if step.padding == "same" else (side - kernel) // stride + 1
            is_padded |= (out - 1) * stride + kernel > side
            sides.append(out)
        if self._entries:  # before the first one, all that waits is the input's
            if is_padded and self._waiting[1].any():
                self._require_nothing_waits(f"the padding of {step.name}")
            if self._varies_by_place() and ((kh, kw) != (height, width) or sides != [1, 1]):
                self._require_nothing_waits(step.name)
            step = scale_input(step, factor=self._waiting[0], shift=self._waiting[1])
            self._waiting = _IDENTITY
        self._append(step, (sides[0], sides[1], gives))

    def _multiply(self, step: Multiply) -> None:
        height, width, channels = self._shape
        kh, kw = (1, 1) if self._keeps_channels else (height, width)
        takes, gives = step.kernel.shape
        if takes != kh * kw * channels:
            raise DataError(f"{step.name} must have weights for {kh * kw * channels} features, got {takes}")
        kernel = step.kernel.reshape(kh, kw, channels, gives)
        view = (*self._view[:-1], gives)
        self._append_convolution(Convolve(name=step.name, kernel=kernel, bias=step.bias))
        self._view = view

    def _normalize(self, step: Normalize) -> None:
        self._require_last_axis(step.name, "normalizes", step.axis)
        is_by_channel = {self._shape[2], self._channels()} == {step.gamma.size}
        if self._entries and isinstance(self._entries[-1], Convolve) and is_by_channel:
            self._entries.append(step)
        else:
            self._scale(step.scale())

    def _require_last_axis(self, name: str, verb: str, axis: int) -> None:
        if axis not in (-1, len(self._view)):
            raise DataError(f"{name} {verb} along axis {axis}: it must be the last one, the channels")

    def _varies_by_place(self) -> bool:
        """Whether what waits is another scaling at each place of the map."""
        return any(value.shape[:2] != (1, 1) for value in self._waiting)

    def _channels(self) -> int:
        """The length of the last axis, as the model has it."""
        return self.shape[-1]

    def _scale(self, step: Scale) -> None:
        factor, shift = (self._spread_out(value, step.name) for value in (step.factor, step.shift))
        if self._entries and not (np.isfinite(factor).all() and np.isfinite(shift).all()):
            raise DataError(f"{step.name} must scale by finite numbers, got NaN or infinity")
        last = self._entries[-1] if self._entries else None
        is_by_channel = {factor.size, shift.size} <= {1, self._shape[2]}
        if isinstance(last, Convolve | Normalize) and is_by_channel:
            self._entries[-1] = scale_output(last, factor=factor.reshape(-1), shift=shift.reshape(-1))
            return
        old_factor, old_shift = self._waiting
        self._waiting = (old_factor * factor, old_shift * factor + shift)
        self._waiting_name = step.name

    def _spread_out(self, value: Array, name: str) -> Array:
        """The value in a shape that broadcasts to (height, width, channels), however the model has the map."""
        if value.size == 1:
            return value.reshape(1, 1, 1)
        if value.ndim == 3 and value.shape[:2] != (1, 1):
            raise DataError(f"{name} scales places of the map differently: it must have one value for each channel")
        if value.size != self._channels():
            raise DataError(
                f"{name} must have one value, or one for each of {self._channels()} channels, got {value.size}"
            )
        return value.reshape((1, 1, -1) if self._keeps_channels else self._shape)

    def _clip(self, step: Clip) -> None:
        if not self._has_convolution():
            raise DataError(f"{step.name} clips values before the first convolution: only scaling is supported there")
        self._require_nothing_waits(step.name)
        self._append(step, self._shape)

    def _average(self, step: Average) -> None:
        if not self._has_convolution():
            raise DataError(f"{step.name} pools before the first convolution: only scaling is supported there")
        if not self._is_map and self._channels() != math.prod(self._view):
            raise DataError(f"{step.name} must average a map, got shape {self._view}")
        height, width, channels = self._shape if self._is_map else (1, 1, self._channels())
        if step.window is not None and not step.window.is_whole(height, width):
            raise DataError(
                f"{step.name} averages windows of {_by(step.window.size)}, {_by(step.window.strides)} apart, padding "
                f"{step.window.padding}, in a map of {height} x {width}: one window must be the whole map"
            )
        if self._is_map:  # else the model averages one place, which changes nothing
            if self._varies_by_place():
                self._require_nothing_waits(step.name)
            self._append(Average(name=step.name), (1, 1, channels))
        self._view = (channels,) if step.is_flat else (1, 1, channels)

    def _finish(self, step: Finish) -> None:
        if self._shape[0] * self._shape[1] != 1:
            raise DataError(f"{step.name} ({step.output}) must follow one vector of classes, got a map {self._shape}")
        self._require_last_axis(step.name, "works", step.axis)
        self.output, self._output_name = step.output, step.name

    def _reshape(self, step: Shape) -> None:
        size = math.prod(self._shape)
        target = (size,) if step.target is None else resolve_shape(step.target, size)
        if target not in (self._shape, self._places, (size,), (1, size), (1, 1, size)):
            raise DataError(f"{step.name} reshapes {self._shape} to {target}: it must give one vector, or the same map")
        self._view, self._end = target, step.name


_ADDERS: Final[Mapping[type[Step], Callable[[ChainBuilder, Any], None]]] = MappingProxyType(
    {
        Pad: ChainBuilder._pad,
        Convolve: ChainBuilder._convolve,
        Multiply: ChainBuilder._multiply,
        Normalize: ChainBuilder._normalize,
        Scale: ChainBuilder._scale,
        Clip: ChainBuilder._clip,
        Average: ChainBuilder._average,
        Shape: ChainBuilder._reshape,
        Finish: ChainBuilder._finish,
    }
)


def layer_of(step: Step, *, name: str) -> tuple[Any, list[Array]]:
    """The layer of one step, and its weights in Keras' order."""
    match step:
        case Pad(amounts=amounts):
            return _layers.ZeroPadding2D(amounts, name=name), []
        case Clip(ceiling=ceiling):
            return _layers.ReLU(ceiling, name=name), []
        case Normalize(gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon):
            return _layers.BatchNormalization(epsilon=epsilon, name=name), [gamma, beta, mean, variance]
        case Convolve(kernel=kernel, bias=bias, strides=strides, padding=padding, is_depthwise=is_depthwise):
            shared = {"strides": strides, "padding": padding, "use_bias": bias is not None, "name": name}
            if is_depthwise:
                layer = _layers.DepthwiseConv2D(kernel.shape[:2], **shared)
            else:
                layer = _layers.Conv2D(kernel.shape[3], kernel.shape[:2], **shared)
            return layer, [kernel] if bias is None else [kernel, bias]
    return _layers.GlobalAveragePooling2D(keepdims=True, name=name), []


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[0]} x {sides[1]}"


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number from 2 on if it is taken; adds it to `taken`."""
    base = candidate = clean_name(name)
    number = 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{base}_{number}"
    taken.add(candidate.lower())
    return candidate


def _shortest(values: Array) -> tuple[float, ...]:
    """The values as a tuple, of one where all are equal."""
    return tuple(map(float, values[:1] if np.all(values == values[0]) else values))
