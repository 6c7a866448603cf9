"""Second moments of a layer's inputs, which say how one weight can make up for the rounding of another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[np.float64]
Patches = NDArray[np.float32]  # (taps, positions, channels)


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


def full_moments(floats: Patches, quantized: Patches) -> Moments:
    """The moments of a full convolution, from the patches of its float and quantized inputs."""
    columns = [_columns(patches) for patches in (floats, quantized)]
    count = len(columns[0])
    # Products of large means would swallow the moments: float32 has seven digits.
    shift = tf.reduce_mean(columns[1], axis=0)
    expected, found = (values - shift for values in columns)
    own, cross = (np.asarray(tf.matmul(found, other, transpose_a=True), np.float64) for other in (found, expected))
    mean, float_mean = (np.asarray(tf.reduce_mean(values, axis=0), np.float64) for values in (found, expected))
    return Moments(
        positions=np.array(count, np.float64),
        own=own / count - np.outer(mean, mean),
        cross=cross / count - np.outer(mean, float_mean),
    )


def _columns(patches: Patches) -> Any:
    """What a full convolution multiplies its weights by: (positions, taps * channels)."""
    if len(patches) == 1:
        return tf.constant(patches[0])
    return tf.reshape(tf.transpose(patches, [1, 0, 2]), [patches.shape[1], -1])


def depthwise_moments(
    floats: Patches,
    quantized: Patches,
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    ceiling: float | None,
    high: float,
) -> Moments:
    """The moments of a depthwise convolution with float `kernel` and `bias`, whose output is cut off at `high`.

    With a `ceiling` of None it is not cut off at all.
    """
    taps, _, channels = floats.shape
    output = np.einsum("tpc,tc->pc", floats, kernel.reshape(taps, channels)) + bias
    active = np.ones_like(output) if ceiling is None else ((output > 0) & (output < high)).astype(np.float32)
    positions = active.sum(axis=0, dtype=np.float64)
    count = np.maximum(positions, 1)
    shift = _mean(quantized, active, count)
    found, expected = ((patches - shift[:, None].astype(np.float32)) for patches in (quantized, floats))
    own, cross = np.empty((channels, taps, taps)), np.empty((channels, taps, taps))
    means, float_means = _mean(found, active, count), _mean(expected, active, count)
    for one in range(taps):
        weighted = found[one] * active
        for other in range(taps):
            cross[:, one, other] = np.einsum("pc,pc->c", weighted, expected[other])
            if other >= one:
                own[:, one, other] = own[:, other, one] = np.einsum("pc,pc->c", weighted, found[other])
    return Moments(
        positions=positions,
        own=own / count[:, None, None] - np.einsum("ac,bc->cab", means, means),
        cross=cross / count[:, None, None] - np.einsum("ac,bc->cab", means, float_means),
    )


def _mean(patches: Patches, active: NDArray[np.float32], count: Array) -> Array:
    """The mean of each tap and channel over the active positions, (taps, channels)."""
    return np.asarray(np.stack([(tap * active).sum(axis=0, dtype=np.float64) for tap in patches]) / count)
