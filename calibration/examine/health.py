"""Tensor health: how far the tensors of a quantized network are from float's, and which channels died."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.examine.twins import Twin, run_in_float, run_in_integers
from mbexport.calibration.integers.stored_site import decibels

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHealth:
    """One stored tensor over all images, in float's own units: shifts and factors of its channels are undone.

    `signal` and `noise` are the sums of squares of float's values and of the distances from them; the peaks
    (channels,) are each channel's largest value in float, and how far it gets in the quantized network above the
    least that its codes hold.
    """

    layer: str
    site: str
    is_rectified: bool
    signal: float
    noise: float
    float_peaks: Array
    peaks: Array

    @property
    def snr_db(self) -> float:
        """The signal-to-noise ratio in decibels, infinite without noise, NaN without a signal."""
        return decibels(self.signal, self.noise)

    @property
    def dead(self) -> int:
        """How many channels behind a ReLU are zero on every image in both networks: they cost time and no answers."""
        return int(((self.float_peaks <= 0) & (self.peaks <= 0)).sum()) if self.is_rectified else 0

    @property
    def killed(self) -> int:
        """How many are zero on every image in the quantized network only: what they said is lost."""
        return int(((self.float_peaks > 0) & (self.peaks <= 0)).sum()) if self.is_rectified else 0


def measure_health(twins: Sequence[Twin], batches: Iterable[NDArray[np.float32]]) -> list[TensorHealth]:
    """Measure each stored tensor over batches (n, px, px, channels) of the input in steps of its codes."""
    found: list[list[Any]] = [[0.0, 0.0, -math.inf, -math.inf] for _ in twins]
    for batch in batches:
        x = tf.constant(batch)
        both = zip(run_in_float(twins, x), run_in_integers(twins, x), strict=True)
        for sums, ((twin, floats), (_, integers)) in zip(found, both, strict=True):
            sums[:] = _added(sums, twin, floats, integers)
    return [_health(twin, *sums) for twin, sums in zip(twins, found, strict=True)]


def _added(sums: Sequence[Any], twin: Twin, floats: Any, integers: Any) -> list[Any]:
    """`sums` with one more batch of a tensor: sums of squares of signal and noise, peaks of float and quantized."""
    signal, noise, float_peaks, peaks = sums
    positions = list(range(len(floats.shape) - 1))
    values = (floats - twin.zero) * twin.units
    above = (integers - np.maximum(twin.zero, twin.lowest)) * twin.units
    return [
        signal + float(tf.reduce_sum(tf.square(values))),
        noise + float(tf.reduce_sum(tf.square((floats - integers) * twin.units))),
        np.maximum(float_peaks, np.asarray(tf.reduce_max(values, positions))),
        np.maximum(peaks, np.asarray(tf.reduce_max(above, positions))),
    ]


def _health(twin: Twin, signal: float, noise: float, float_peaks: Array, peaks: Array) -> TensorHealth:
    return TensorHealth(
        layer=twin.layer,
        site=twin.step.site,
        is_rectified=twin.ceiling is not None,
        signal=signal,
        noise=noise,
        float_peaks=float_peaks,
        peaks=peaks,
    )
