"""Define the steps of a network, the one vocabulary for the layers and operations of every Keras format."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.channels import MAX_CHANNELS
from mbexport.models.facts import Output
from mbexport.models.resolution import Resolution

Array = NDArray[np.float64]
Padding = Literal["same", "valid"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One operation on a (height, width, channels) map; errors and layers call it `name`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pad(Step):
    """Zeros around the map: ((top, bottom), (left, right))."""

    amounts: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolve(Step):
    """A convolution: kernel (kh, kw, in, out), or (kh, kw, channels, multiplier) if depthwise; bias (out,).

    A depthwise one gives channels * multiplier channels, those of one channel side by side.
    """

    kernel: Array
    bias: Array | None = None
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    is_depthwise: bool = False

    def __post_init__(self) -> None:
        if self.is_depthwise and self.strides[0] != self.strides[1]:
            raise DataError(f"{self.name} has strides {self.strides}: both must be equal")

    @property
    def channels(self) -> int:
        """The number of channels that it gives."""
        _, _, takes, gives = self.kernel.shape
        return int(takes * gives if self.is_depthwise else gives)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense(Step):
    """A dense layer over the last axis: kernel (features, units), bias (units,)."""

    kernel: Array
    bias: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalize(Step):
    """Batch normalization with frozen statistics, each (channels,), along an axis that must be the last one."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float
    axis: int = -1

    def scale(self) -> "Scale":
        """The same function as a factor and a shift for each channel."""
        factor = self.gamma / np.sqrt(self.variance + self.epsilon)
        return Scale(name=self.name, factor=factor, shift=self.beta - self.mean * factor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale(Step):
    """x * factor + shift; each of shape (1,) or (channels,), or (1, 1, 1) to (height, width, channels)."""

    factor: Array
    shift: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip(Step):
    """max(x, 0), and min(x, ceiling) if there is one."""

    ceiling: float | None

    def __post_init__(self) -> None:
        if self.ceiling is not None and not self.ceiling > 0:
            raise DataError(f"{self.name} must clip at a value above 0, got {self.ceiling}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound(Step):
    """One side of a clip: min(x, ceiling), or max(x, 0) without a ceiling. `patterns` makes a `Clip` of it."""

    ceiling: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leak(Step):
    """x above 0, and x * slope below (LeakyReLU)."""

    slope: float

    def __post_init__(self) -> None:
        if not 0 <= self.slope <= 1:
            raise DataError(f"{self.name} must have a slope from 0 to 1 below 0, got {self.slope:g}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HardSigmoid(Step):
    """min(max(x + 3, 0), 6) / 6."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HardSwish(Step):
    """x times the hard-sigmoid of x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The windows of a pooling layer."""

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: Padding

    def is_whole(self, height: int, width: int) -> bool:
        """Whether there is one window alone, and it covers all of a map: padding is never averaged."""
        sides = list(zip(self.size, self.strides, (height, width), strict=True))
        if self.padding == "same":
            return all(size >= side and stride >= side for size, stride, side in sides)
        return all(size == side for size, _, side in sides)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool(Step):
    """One value of each window; without a window one of the whole map. With `is_flat` the result is (channels,)."""

    window: Window | None = None
    is_flat: bool = False


class Average(Pool):
    """The mean of what a window covers of the map: padding is not counted."""


class Maximum(Pool):
    """The largest value of what a window covers of the map."""


class Join(Step):
    """One tensor of several."""


class Sum(Join):
    """The sum of maps of one shape."""


class Product(Join):
    """The product of maps of one shape, or of maps and one value for each of their channels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concatenate(Join):
    """The channels of several maps, one behind the other; along an axis that must be the last one."""

    axis: int = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape(Step):
    """The same values in another shape, with at most one axis of -1; None is one vector."""

    target: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finish(Step):
    """The softmax, along an axis that must be the last one, or the sigmoid at the end of the network."""

    output: Output
    axis: int = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ByShape(Step):
    """What depends on the shape of one example: (height, width, channels) or (n,)."""

    steps: Callable[[tuple[int, ...]], Sequence[Step]]


def require_chain_shape(shape: Sequence[object], *, resolution: Resolution | None) -> tuple[int, int, int]:
    """The shape of one image, (height, width, channels), from (batch, height, width, channels) with None where open.

    Raises `DataError` unless it has 1 to `MAX_PX` pixels a side and 1 to 4 channels, and agrees with `resolution`.
    """
    if len(shape) != 4:
        raise DataError(f"the model's input must be (batch, height, width, channels), got {tuple(shape)}")
    _, height, width, channels = shape
    if not isinstance(channels, int) or not 1 <= channels <= MAX_CHANNELS:
        raise DataError(f"the model's input must have 1 to {MAX_CHANNELS} channels, last, got {tuple(shape)}")
    if (height is None or width is None) and resolution is None:
        raise DataError(
            f"the model's input is {tuple(shape)}, of no fixed size: pass --resolution to `mbexport export`"
        )
    given = (None, None) if resolution is None else resolution.sides_px
    fixed = tuple(px if side is None else side for side, px in zip((height, width), given, strict=True))
    if not all(isinstance(side, int) and 1 <= side <= MAX_PX for side in fixed):
        raise DataError(f"the model's input must have 1 to {MAX_PX} pixels a side, got {fixed[0]} x {fixed[1]}")
    own = Resolution(height_px=int(str(fixed[0])), width_px=int(str(fixed[1])))
    if resolution not in (None, own):
        sides = f"{height or 'any'} x {width or 'any'}" if None in (height, width) else own
        raise DataError(f"the model takes images of {sides} px, got --resolution {resolution}")
    return *own.sides_px, channels


MAX_PX = 2048  # eight times what MobileNet v1 was trained at; beyond it a map of float32 takes gigabytes


def output_side(side: int, kernel: int, stride: int, padding: Padding) -> int:
    """The side of the map that a window of `kernel` leaves, every `stride` places."""
    return -(-side // stride) if padding == "same" else (side - kernel) // stride + 1


def resolve_shape(target: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape with its -1 replaced, so that it holds `size` values."""
    known = math.prod(axis for axis in target if axis != -1)
    return tuple(size // known if axis == -1 and known else axis for axis in target)


def clean_name(name: str) -> str:
    """The name with only the characters that every format allows."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("_.") or "layer"
