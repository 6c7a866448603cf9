"""What a kernel sees at some positions of its output: enough of them to say how inputs move together."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.integers.tensors import Pair
from mbexport.calibration.steps import Step

Array = NDArray[np.float32]


def sampled(step: Step, pairs: Iterable[Pair], *, images: int, at_most: int) -> tuple[Array, Array]:
    """The patches of float and quantized inputs of `step`, at the same positions: (taps, positions, channels) each.

    `pairs` are batches of its input, of `images` in all. About `at_most` positions of its output are taken, spread over
    all images.
    """
    found: list[list[Array]] = [[], []]
    for pair in pairs:
        for values, kept in zip(pair, found, strict=True):
            kept.append(np.stack(list(_taps(step, values, images=images, at_most=at_most))))
    if not found[0]:
        raise ValueError("there must be at least one batch")
    floats, quantized = (np.concatenate(kept, axis=1) for kept in found)
    return floats, quantized


def _taps(step: Step, values: Any, *, images: int, at_most: int) -> Iterator[Array]:
    """By tap of the kernel, what it sees of a batch: (positions, channels)."""
    padded = _padded(step, step.prepare(values))
    strides, dilations = step.convolution.strides, step.convolution.dilation_rate
    rows, columns = (
        (size - seen) // stride + 1
        for size, seen, stride in zip(padded.shape[1:3], _extent(step), strides, strict=True)
    )
    ratio = images * rows * columns / at_most
    apart = max(1, math.isqrt(int(min(ratio, rows * columns))))  # between positions, both ways
    every = max(1, math.ceil(ratio / apart**2))
    while math.gcd(every, -(-columns // apart)) > 1:  # else whole columns would never be seen
        every += 1
    for tap in np.ndindex(step.kernel_shape[:2]):
        row, column = (number * dilation for number, dilation in zip(tap, dilations, strict=True))
        seen = padded[
            :,
            row : row + strides[0] * (rows - 1) + 1 : strides[0] * apart,
            column : column + strides[1] * (columns - 1) + 1 : strides[1] * apart,
        ]
        yield np.ascontiguousarray(seen.reshape(-1, seen.shape[-1])[::every])


def _extent(step: Step) -> tuple[int, int]:
    """How many rows and columns lie between the first and the last that the kernel sees, both among them."""
    height, width = (
        (taps - 1) * dilation + 1
        for taps, dilation in zip(step.kernel_shape[:2], step.convolution.dilation_rate, strict=True)
    )
    return height, width


def _padded(step: Step, values: Any) -> Array:
    """The values with the zeros around them that the convolution itself adds, as TensorFlow's SAME does."""
    if step.padding == "VALID":
        return np.asarray(values)
    around = [(0, 0)]
    for size, seen, stride in zip(values.shape[1:3], _extent(step), step.convolution.strides, strict=True):
        missing = max((-(-size // stride) - 1) * stride + seen - size, 0)
        around.append((missing // 2, missing - missing // 2))
    if around[1:] == [(0, 0), (0, 0)]:
        return np.asarray(values)
    return np.asarray(tf.pad(values, [*around, (0, 0)]))
