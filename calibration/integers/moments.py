"""Second moments of a layer's inputs, which say how one weight can make up for the rounding of another."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.steps import Step

Array = NDArray[np.float64]
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Centred second moments of a layer's inputs over `positions` of its output.

    `own` are those of the quantized inputs, `cross` those of the quantized and the float inputs. (inputs, inputs) for
    a full convolution, with inputs = kh * kw * channels; (channels, kh * kw, kh * kw) for a depthwise one, where only
    positions count at which the float output is neither cut off nor zero: elsewhere an error does not matter.
    """

    positions: NDArray[np.float64]
    own: Array
    cross: Array


def full_moments(step: Step, pairs: Iterable[Pair]) -> Moments:
    """The moments of a full convolution, from pairs of float and quantized values of the input of `step`."""
    positions, sums, shift = 0, None, None
    for pair in pairs:
        floats, quantized = (_patches(step, values).reshape(-1, _inputs(step)) for values in pair)
        if shift is None:  # products of large means would swallow the moments: float32 has seven digits
            shift = quantized.mean(axis=0)
        floats, quantized = floats - shift, quantized - shift
        found = [
            part.astype(np.float64)
            for part in (quantized.T @ quantized, quantized.T @ floats, quantized.sum(axis=0), floats.sum(axis=0))
        ]
        sums = found if sums is None else [one + other for one, other in zip(sums, found, strict=True)]
        positions += len(quantized)
    if sums is None:
        raise ValueError("there must be at least one batch")
    own, cross, mean, float_mean = (value / positions for value in sums)
    return Moments(
        positions=np.array(positions, np.float64),
        own=own - np.outer(mean, mean),
        cross=cross - np.outer(mean, float_mean),
    )


def depthwise_moments(
    step: Step, pairs: Iterable[Pair], kernel: NDArray[np.float32], bias: NDArray[np.float32], high: float
) -> Moments:
    """The moments of a depthwise convolution with float `kernel` and `bias`, whose output is cut off at `high`."""
    taps = kernel.shape[0] * kernel.shape[1]
    weights = kernel.reshape(taps, -1)
    sums: list[Array] | None = None
    for pair in pairs:
        floats, quantized = (_patches(step, values).reshape(-1, taps, weights.shape[1]) for values in pair)
        output = (floats * weights).sum(axis=1) + bias
        active = ((output > 0) & (output < high)).astype(np.float32) if step.ceiling else np.ones_like(output)
        own, other = quantized * active[:, None], floats * active[:, None]
        found = [
            np.asarray(value, np.float64)
            for value in (
                active.sum(axis=0),
                own.sum(axis=0).T,
                other.sum(axis=0).T,
                tf.einsum("nic,njc->cij", own, quantized),
                tf.einsum("nic,njc->cij", own, floats),
            )
        ]
        sums = found if sums is None else [one + another for one, another in zip(sums, found, strict=True)]
    if sums is None:
        raise ValueError("there must be at least one batch")
    positions = sums[0]
    mean, float_mean, own_mean, cross_mean = (
        value / np.maximum(positions, 1).reshape(-1, *[1] * (value.ndim - 1)) for value in sums[1:]
    )
    return Moments(
        positions=positions,
        own=own_mean - mean[:, :, None] * mean[:, None, :],
        cross=cross_mean - mean[:, :, None] * float_mean[:, None, :],
    )


def _inputs(step: Step) -> int:
    height, width, channels, _ = step.kernel_shape
    return height * width * channels


def _patches(step: Step, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the kernel sees at each position of the output: (n, height, width, kh * kw * channels)."""
    prepared = step.prepare(values)
    height, width, _, _ = step.kernel_shape
    if height == width == 1:
        down, right = step.convolution.strides
        return np.asarray(prepared[:, ::down, ::right])
    found = tf.image.extract_patches(
        prepared,
        [1, height, width, 1],
        [1, *step.convolution.strides, 1],
        [1, *step.convolution.dilation_rate, 1],
        step.padding,
    )
    return np.asarray(found)
