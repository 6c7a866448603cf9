"""Turns the weights of a layer into multiples of their scales that change its output as little as possible.

Rounding each weight to its nearest code is best for the weights and not for what they compute: the error of one can
be made up for by its neighbours, as far as their inputs move together. Source: Frantar et al. 2023, "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", arXiv 2210.17323, after Hassibi and Stork 1993,
"Optimal Brain Surgeon".
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX

_DAMPING: Final = 0.01  # of the mean second moment: GPTQ's own
_STILL: Final = 1e-10  # a mean moment below this is rounding of inputs that never change
_SWEEPS: Final = 4
_DESCENDED: Final = 4  # of the scales tried for a few weights: those that begin best
_BLOCK: Final = 64  # inputs whose errors are handed on together: the same result, in larger matrix products

Array = NDArray[np.float64]


def nearest(weights: Array, scales: Array) -> Array:
    """The weights (inputs, outputs) rounded to multiples of `scales` (outputs,), codes -127 to 127."""
    return np.clip(np.rint(weights / scales), -INT8_MAX, INT8_MAX) * scales


def refitted(weights: Array, moments: Array, cross: Array, *, ridge: float) -> Array:
    """The weights (inputs, outputs) that give on quantized inputs what `weights` give on float ones, or nearly so.

    `moments` are the means of quantized inputs' products (inputs, inputs), `cross` those of quantized and float ones.
    `ridge`, in units of the mean moment, is how strongly the result is held to `weights`.
    """
    held = ridge * np.trace(moments) / len(moments)
    if np.trace(moments) / len(moments) < _STILL:
        return weights
    return np.linalg.solve(moments + held * np.eye(len(moments)), cross @ weights + held * weights)


def compensated(weights: Array, scales: Array, moments: Array) -> Array:
    """The weights (inputs, outputs) as multiples of `scales` (outputs,), each rounding error made up for by the rest.

    `moments` (inputs, inputs) are the means of the inputs' products, with their own means taken off: the bias makes
    up for these.
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
    """The mean square of what `errors` (inputs, outputs) of the weights do to each output, (outputs,)."""
    return np.asarray((errors * (moments @ errors)).sum(axis=0))


def compensated_at_best(weights: Array, scales: Array, moments: Array) -> tuple[Array, Array]:
    """As `compensated`, with the best of the `scales` (candidates, outputs) for each output; with those, (outputs,).

    A smaller scale cuts the largest weights and rounds the others less; and by chance one fits all weights better
    than another.
    """
    best, found = compensated(weights, scales[0], moments), scales[0]
    least = output_errors(best - weights, moments)
    for candidates in scales[1:]:
        rounded = compensated(weights, candidates, moments)
        errors = output_errors(rounded - weights, moments)
        is_better = errors < least
        best, found = np.where(is_better, rounded, best), np.where(is_better, candidates, found)
        least = np.minimum(errors, least)
    return best, found


def descended_at_best(weights: Array, scales: Array, moments: Array) -> tuple[Array, float]:
    """A few weights (inputs,) of one output as multiples of the best of `scales` (candidates,); with that."""
    aims = np.repeat(weights[:, None], len(scales), axis=1)
    starts = compensated(aims, scales, moments)
    promising = np.argsort(output_errors(starts - aims, moments), kind="stable")[:_DESCENDED]
    ends = np.stack([descended(starts[:, i], weights, scales[i : i + 1], moments) for i in promising], axis=1)
    best = int(output_errors(ends - weights[:, None], moments).argmin())
    return ends[:, best], float(scales[promising[best]])


def descended(rounded: Array, weights: Array, scale: Array, moments: Array) -> Array:
    """The multiples `rounded` (inputs,) of `scale` (1,), moved one at a time as long as the error of the output falls.

    `weights` (inputs,) is what they stand for; `moments` as for `compensated`.
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
