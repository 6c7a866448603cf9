"""Round the few weights of each channel of a depthwise convolution, for all channels at once.

A channel's weights meet its own inputs only, so that each has moments of its own. The arithmetic is that of
`rounding`, over stacks of small matrices; so few weights allow many scales to be tried, and a descent from the best.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX
from mbexport.calibration.integers.rounding import DAMPING, STILL

_LEAST_EIGENVALUE: Final = 1e-6  # of the mean moment: below, float32 has lost what moments say
_SWEEPS: Final = 4
_DESCENDED: Final = 4  # scales: descent starts from those that round best

Array = NDArray[np.float64]


def nearest_taps(weights: Array, scales: Array) -> Array:
    """The weights (..., taps) rounded to multiples of `scales` (..., 1), codes -127 to 127."""
    return np.clip(np.rint(weights / scales), -INT8_MAX, INT8_MAX) * scales


def refit_taps(weights: Array, moments: Array, cross: Array, *, ridge: float) -> Array:
    """Fit weights (channels, taps) that give on quantized inputs what `weights` give on float ones, or nearly so.

    `moments` and `cross` (channels, taps, taps) and `ridge` are as for `rounding.refit`. A channel whose moments no
    inputs can have keeps its weights.
    """
    held = ridge * _means(moments)
    system = moments + held[:, None, None] * np.eye(weights.shape[1])
    is_fit = _are_sound(system)
    system = np.where(is_fit[:, None, None], system, np.eye(weights.shape[1]))
    aims = np.einsum("cts,cs->ct", cross, weights) + held[:, None] * weights
    fitted = np.linalg.solve(system, aims[..., None])[..., 0]
    return np.where(is_fit[:, None], fitted, weights)


def round_taps(weights: Array, scales: Array, moments: Array) -> tuple[Array, Array]:
    """Round weights (channels, taps) to multiples of the best of `scales` (candidates, channels) of each channel.

    `moments` (channels, taps, taps) are as for `rounding.compensate`. Returns the weights and the scales (channels,).
    A channel whose moments no inputs can have, or whose inputs never change, is rounded to the nearest codes.
    """
    taps = weights.shape[1]
    damped = moments + DAMPING * _means(moments)[:, None, None] * np.eye(taps)
    is_sound = _are_sound(damped)[:, None, None]
    damped, known = (np.where(is_sound, values, np.eye(taps)) for values in (damped, moments))
    tried = scales.T[..., None]  # (channels, candidates, 1)
    starts = _compensated(weights, tried, known, damped)
    promising = np.argsort(_errors(starts - weights[:, None], known), axis=1, kind="stable")[:, :_DESCENDED]
    starts, tried = (np.take_along_axis(values, promising[..., None], axis=1) for values in (starts, tried))
    ends = descend(starts, weights, tried, damped)
    best = _errors(ends - weights[:, None], known).argmin(axis=1)[:, None, None]
    return np.take_along_axis(ends, best, axis=1)[:, 0], np.take_along_axis(tried, best, axis=1)[:, 0, 0]


def _means(moments: Array) -> Array:
    """The mean second moment of each channel, (channels,)."""
    return np.asarray(np.trace(moments, axis1=1, axis2=2) / moments.shape[1])


def _are_sound(moments: Array) -> NDArray[np.bool_]:
    """Whether inputs that change can have such moments, (channels,)."""
    means = _means(moments)
    return np.asarray((means >= STILL) & (np.linalg.eigvalsh(moments)[:, 0] > _LEAST_EIGENVALUE * means))


def _compensated(weights: Array, scales: Array, moments: Array, damped: Array) -> Array:
    """As `rounding.compensate`, for each channel and candidate: (channels, candidates, taps)."""
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    turned = np.take_along_axis(np.take_along_axis(damped, order[:, :, None], axis=1), order[:, None, :], axis=2)
    upper = np.linalg.cholesky(np.linalg.inv(turned)).transpose(0, 2, 1)
    left = np.repeat(np.take_along_axis(weights, order, axis=1)[:, None], scales.shape[1], axis=1)
    rounded = np.empty_like(left)
    for i in range(weights.shape[1]):
        rounded[..., i] = nearest_taps(left[..., i], scales[..., 0])
        errors = (left[..., i] - rounded[..., i]) / upper[:, None, i, i]
        left[..., i + 1 :] -= errors[..., None] * upper[:, None, i, i + 1 :]
    found = np.empty_like(rounded)
    np.put_along_axis(found, np.broadcast_to(order[:, None], rounded.shape), rounded, axis=2)
    return found


def _errors(errors: Array, moments: Array) -> Array:
    """The mean squared errors (channels, candidates) that `errors` (channels, candidates, taps) of weights cause."""
    return np.asarray(((errors @ moments) * errors).sum(axis=2))


def descend(rounded: Array, weights: Array, scales: Array, damped: Array) -> Array:
    """Coordinate descent: move one rounded weight at a time as long as the error of the output falls.

    `rounded` (channels, candidates, taps) are multiples of `scales` (channels, candidates, 1) that stand for `weights`
    (channels, taps); `damped` (channels, taps, taps) are their inputs' damped moments.
    """
    found = rounded.copy()
    for _ in range(_SWEEPS):
        before = found.copy()
        for i in range(found.shape[2]):
            away, own = found - weights[:, None], damped[:, None, i, i]
            others = (away @ damped[:, :, i, None])[..., 0] - own * away[..., i]
            found[..., i] = nearest_taps(weights[:, None, i] - others / own, scales[..., 0])
        if (found == before).all():
            break
    return found
