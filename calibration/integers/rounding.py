"""Round the weights of a layer to multiples of their scales, changing its output as little as possible.

Rounding each weight to its nearest code is best for the weights, not for what they compute: other weights can make up
for the error of one, as far as their inputs move together. Source: Frantar et al. 2023, "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", arXiv 2210.17323, after Hassibi and Stork 1993,
"Optimal Brain Surgeon".
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX

_DAMPING: Final = 0.01  # of the mean second moment: GPTQ's own
_STILL: Final = 1e-10  # a mean moment below this comes from rounding inputs that never change
_SWEEPS: Final = 4
_DESCENDED: Final = 4  # scales for a few weights: descent starts from those that round best
_BLOCK: Final = 64  # inputs whose errors are handed on together: the same result, in larger matrix products

Array = NDArray[np.float64]


def nearest(weights: Array, scales: Array) -> Array:
    """The weights (inputs, outputs) rounded to multiples of `scales` (outputs,), codes -127 to 127."""
    return np.clip(np.rint(weights / scales), -INT8_MAX, INT8_MAX) * scales


def refit(weights: Array, moments: Array, cross: Array, *, ridge: float) -> Array:
    """Fit weights (inputs, outputs) that give on quantized inputs what `weights` give on float ones, or nearly so.

    `moments` are the means of quantized inputs' products (inputs, inputs), `cross` those of quantized and float ones.
    `ridge`, in units of the mean moment, is how strongly the result is held to `weights`.
    """
    held = ridge * np.trace(moments) / len(moments)
    if np.trace(moments) / len(moments) < _STILL:
        return weights
    return np.linalg.solve(moments + held * np.eye(len(moments)), cross @ weights + held * weights)


def compensate(weights: Array, scales: Array, moments: Array) -> Array:
    """Round weights (inputs, outputs) to multiples of `scales` (outputs,); the rest make up for each rounding error.

    `moments` (inputs, inputs) are the inputs' centred second moments: the bias makes up for their means. Raises
    `numpy.linalg.LinAlgError` for moments that no inputs can have.
    """
    count = len(weights)
    mean = np.trace(moments) / count
    if mean < _STILL:
        return nearest(weights, scales)
    order = np.argsort(-np.diag(moments), kind="stable")  # what matters most is rounded first, while all can help
    damped = moments[np.ix_(order, order)] + _DAMPING * mean * np.eye(count)
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    left = weights[order].copy()
    rounded = np.empty_like(left)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        errors = np.empty((stop - start, weights.shape[1]))
        for i in range(start, stop):
            rounded[i] = nearest(left[i], scales)
            errors[i - start] = (left[i] - rounded[i]) / upper[i, i]
            left[i + 1 : stop] -= np.outer(upper[i, i + 1 : stop], errors[i - start])
        left[stop:] -= upper[start:stop, stop:].T @ errors
    found = np.empty_like(rounded)
    found[order] = rounded
    return found


def output_errors(errors: Array, moments: Array) -> Array:
    """The mean squared error of each output, (outputs,), that `errors` (inputs, outputs) of the weights cause."""
    return np.asarray((errors * (moments @ errors)).sum(axis=0))


def compensate_at_best_scale(weights: Array, scales: Array, moments: Array) -> tuple[Array, Array]:
    """As `compensate`, with the best of `scales` (candidates, outputs) for each output; weights and scales (outputs,).

    A smaller scale cuts the largest weights and rounds the others less; and by chance one fits all weights better
    than another.
    """
    best, found = compensate(weights, scales[0], moments), scales[0]
    least = output_errors(best - weights, moments)
    for candidates in scales[1:]:
        rounded = compensate(weights, candidates, moments)
        errors = output_errors(rounded - weights, moments)
        is_better = errors < least
        best, found = np.where(is_better, rounded, best), np.where(is_better, candidates, found)
        least = np.minimum(errors, least)
    return best, found


def descend_at_best_scale(weights: Array, scales: Array, moments: Array) -> tuple[Array, float]:
    """Round a few weights (inputs,) of one output to multiples of the best of `scales` (candidates,).

    Returns the weights and the scale.
    """
    aims = np.repeat(weights[:, None], len(scales), axis=1)
    starts = compensate(aims, scales, moments)
    promising = np.argsort(output_errors(starts - aims, moments), kind="stable")[:_DESCENDED]
    ends = np.stack([descend(starts[:, i], weights, scales[i : i + 1], moments) for i in promising], axis=1)
    best = int(output_errors(ends - weights[:, None], moments).argmin())
    return ends[:, best], float(scales[promising[best]])


def descend(rounded: Array, weights: Array, scale: Array, moments: Array) -> Array:
    """Coordinate descent: move one rounded weight at a time as long as the error of the output falls.

    `rounded` (inputs,) are multiples of `scale` (1,) that stand for `weights` (inputs,); `moments` as for
    `compensate`.
    """
    mean = np.trace(moments) / len(moments)
    if mean < _STILL:
        return rounded
    damped = moments + _DAMPING * mean * np.eye(len(moments))
    found = rounded.copy()
    for _ in range(_SWEEPS):
        before = found.copy()
        for i in range(len(found)):
            others = damped[i] @ (found - weights) - damped[i, i] * (found[i] - weights[i])
            found[i] = nearest(weights[i : i + 1] - others / damped[i, i], scale)[0]
        if (found == before).all():
            break
    return found
