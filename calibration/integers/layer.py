"""Round one convolution: integers with which its output, on what it is really given, stays nearest to float's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, min_largest_weights
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.moments import depthwise_moments, full_moments
from mbexport.calibration.integers.patches import sampled
from mbexport.calibration.integers.rounding import compensate_at_best_scale, nearest, refit
from mbexport.calibration.integers.taps import refit_taps, round_taps
from mbexport.calibration.integers.tensors import Pair, StoredTensor
from mbexport.calibration.steps import Step

_RIDGE: Final = 1.0  # measured: weaker ones fit the calibration images better and others worse
_SHARES: Final = np.array([1.0, 0.97, 0.94, 0.9])  # of the scale that the largest weight asks for: candidates
_TAP_SHARES: Final = np.linspace(1.0, 0.7, 41)  # for the nine weights of a depthwise channel
_POSITIONS_EACH: Final = 4  # of the output, for each weight: fewer say too little about the moments
_POSITIONS: Final = 250_000  # of the output: those that a moment or a mean is taken over,
_MOMENT_POSITIONS: Final = 16  # or so many for each weight of a full convolution, if these are more
_DEPTHWISE_VALUES: Final = 1_000_000  # at most, of the input: every tap of the kernel sees each of them
_BIAS_VALUES: Final = 2_000_000  # at most, of the output
_NEWTON_STEPS: Final = 3
_LARGEST_STEP: Final = 1.0
_LEAST_ACTIVE: Final = 0.02  # of the positions: where fewer let a bias through, a step could be of any size

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """A kernel rounded to whole multiples of its `scales` (output channels,)."""

    kernel: Array
    scales: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledLayer:
    """A convolution between two tensors whose channels have been scaled.

    `kernel` (kh, kw, in, out) or (kh, kw, channels, 1) and `bias` compute in these units; `scales` (output channels,)
    are those with which an integer kernel holds its largest weights, `least_scales` (output channels,) the least with
    which 32 bits hold its bias; `outgoing` is how the output's channels are stored; `high` is where the output's range
    ends, infinite without a ReLU.
    """

    step: Step
    kernel: Array
    bias: Array
    scales: NDArray[np.float64]
    least_scales: NDArray[np.float64]
    outgoing: Scaling
    high: float

    @classmethod
    def of(
        cls,
        step: Step,
        *,
        incoming: Scaling,
        outgoing: Scaling,
        input_scale: float,
        high: float,
    ) -> "ScaledLayer":
        """The convolution of `step`, between an input stored as `incoming` and an output stored as `outgoing`."""
        kernel, bias = scaled_weights(step, incoming=incoming, outgoing=outgoing)
        others = (0, 1, 3) if step.is_depthwise else (0, 1, 2)
        least = min_largest_weights(bias, input_scale=input_scale)
        largest = np.maximum(np.abs(kernel).max(axis=others), least)
        return cls(
            step=step,
            kernel=kernel,
            bias=bias,
            scales=largest / INT8_MAX,
            least_scales=least / INT8_MAX,
            outgoing=outgoing,
            high=high,
        )

    def nearest(self) -> Rounded:
        """Round each weight to its nearest code."""
        return self._rounded(nearest(self._columns(), self.scales), self.scales)

    def unrounded(self) -> Rounded:
        """Leave the weights as they are: those of a layer that stays in float."""
        return Rounded(kernel=self.kernel, scales=self.scales)

    def rounded(self, given: StoredTensor) -> Rounded:
        """Round the weights so that the output on the input `given` stays nearest to float's.

        Each to its nearest code where the moments of the input are no moments: a variance of 1e-7 of the squared mean
        is lost in float32. The bias makes up for what stays the same on every image.
        """
        return self._rounded_taps(given) if self.step.is_depthwise else self._rounded_columns(given)

    def _rounded_columns(self, given: StoredTensor) -> Rounded:
        columns = self._columns()
        wanted = max(_POSITIONS, _MOMENT_POSITIONS * len(columns))
        floats, quantized = sampled(self.step, given.pairs(), images=given.images, at_most=wanted)
        if floats.shape[1] < _POSITIONS_EACH * len(columns):
            return self.nearest()
        found = full_moments(floats, quantized)
        try:
            aim = refit(columns, found.own, found.cross, ridge=_RIDGE)
            return self._rounded(*compensate_at_best_scale(aim, self._tried(_SHARES), found.own))
        except np.linalg.LinAlgError:
            return self.nearest()

    def _rounded_taps(self, given: StoredTensor) -> Rounded:
        columns = self._columns()
        wanted = min(_POSITIONS, _DEPTHWISE_VALUES // columns.shape[1])
        floats, quantized = sampled(self.step, given.pairs(), images=given.images, at_most=wanted)
        found = depthwise_moments(floats, quantized, self.kernel, self.bias, ceiling=self.step.ceiling, high=self.high)
        aims = refit_taps(columns.T, found.own, found.cross, ridge=_RIDGE)
        taps, scales = round_taps(aims, self._tried(_TAP_SHARES), found.own)
        is_known = found.positions >= _POSITIONS_EACH * len(columns)
        kernel = np.where(is_known, taps.T, nearest(columns, self.scales))
        return self._rounded(kernel, np.where(is_known, scales, self.scales))

    def _tried(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scales (candidates, channels) to try: `shares` of `scales`, but none below `least_scales`."""
        return np.maximum(self.scales * shares[:, None], self.least_scales)

    def _rounded(self, columns: NDArray[np.float64], scales: NDArray[np.float64]) -> Rounded:
        return Rounded(kernel=columns.reshape(self.kernel.shape).astype(np.float32), scales=scales)

    def corrected_bias(self, pairs: Sequence[Pair]) -> Array:
        """The bias with which the quantized layer gives each output channel the mean that it has in float.

        `pairs` are the batches of its output that `outputs` gives for its own bias.
        """
        channels = len(self.bias)
        positions = sum(math.prod(found.shape[:-1]) for _, found in pairs)
        every = max(1, positions // min(_POSITIONS, _BIAS_VALUES // channels))
        while math.gcd(every, int(pairs[0][0].shape[-2])) > 1:  # else whole columns would never be seen
            every += 1
        expected, found = (
            np.concatenate([np.asarray(pair[i]).reshape(-1, channels)[::every] for pair in pairs]) for i in (0, 1)
        )
        shift = np.zeros(channels)
        if self.step.ceiling is None:
            shift += (expected - found).mean(axis=0, dtype=np.float64)
        else:
            wanted = np.clip(expected, 0, self.high).mean(axis=0, dtype=np.float64)
            for _ in range(_NEWTON_STEPS):
                shifted = found + shift.astype(np.float32)
                cut = np.clip(shifted, 0, self.high)
                active = ((shifted > 0) & (shifted < self.high)).mean(axis=0)
                missing = wanted - cut.mean(axis=0, dtype=np.float64)
                shift += np.clip(missing / np.maximum(active, _LEAST_ACTIVE), -_LARGEST_STEP, _LARGEST_STEP)
        corrected: Array = (self.bias + shift).astype(np.float32)
        return corrected

    def outputs(self, floats: Any, quantized: Any, kernel: Array, bias: Array) -> Pair:
        """The output in float, and that of the quantized layer with `kernel` and `bias`, both before the ReLU."""
        expected = self.step.convolve(self.step.prepare(floats), self.kernel, self.bias)
        return expected, self.step.convolve(self.step.prepare(quantized), kernel, bias)

    def rectified(self, expected: Any, found: Any) -> Pair:
        """Both behind the ReLU, if there is one."""
        if self.step.ceiling is None:
            return expected, found
        # Float's own zero and ceiling, in these units. The quantized layer is cut where its range ends, within them.
        floor, ceiling = (
            ((end - self.outgoing.shifts) * self.outgoing.factors).astype(np.float32)
            for end in (0.0, self.step.ceiling)
        )
        return tf.clip_by_value(expected, floor, ceiling), tf.clip_by_value(found, 0.0, ceiling)

    def _columns(self) -> NDArray[np.float64]:
        """The weights of each output as a column: (taps, channels), or (kh * kw * in, out)."""
        return self.kernel.reshape(-1, len(self.bias)).astype(np.float64)


def scaled_weights(step: Step, *, incoming: Scaling, outgoing: Scaling) -> tuple[Array, Array]:
    """Kernel and bias of the convolution of `step`, rescaled for channels stored as `incoming` and `outgoing`."""
    kernel, bias = (weights.astype(np.float64) for weights in step.weights)
    if not step.keeps_channels:
        incoming = incoming.repeated(kernel.shape[2])
    if step.is_depthwise:
        bias = bias + kernel.sum(axis=(0, 1, 3)) * incoming.shifts
        kernel = kernel * (outgoing.factors / incoming.factors)[:, None]
    else:
        bias = bias + incoming.shifts @ kernel.sum(axis=(0, 1))
        kernel = kernel * (outgoing.factors / incoming.factors[:, None])
    bias = (bias - outgoing.shifts) * outgoing.factors
    return kernel.astype(np.float32), bias.astype(np.float32)
