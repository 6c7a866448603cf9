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

DAMPING: Final = 0.01  # of the mean second moment: GPTQ's own
STILL: Final = 1e-10  # a mean moment below this comes from rounding inputs that never change
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
    if np.trace(moments) / len(moments) < STILL:
        return weights
    return np.linalg.solve(moments + held * np.eye(len(moments)), cross @ weights + held * weights)


def compensate(weights: Array, scales: Array, moments: Array) -> Array:
    """Round weights (inputs, outputs) to multiples of `scales` (outputs,); the rest make up for each rounding error.

    `moments` (inputs, inputs) are the inputs' centred second moments: the bias makes up for their means. Raises
    `numpy.linalg.LinAlgError` for moments that no inputs can have.
    """
    count = len(weights)
    mean = np.trace(moments) / count
    if mean < STILL:
        return nearest(weights, scales)
    order = np.argsort(-np.diag(moments), kind="stable")  # what matters most is rounded first, while all can help
    damped = moments[np.ix_(order, order)] + DAMPING * mean * np.eye(count)
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
    candidates, outputs = scales.shape
    aims = np.tile(weights, candidates)  # all candidates side by side: their rounding shares one factorization
    rounded = compensate(aims, scales.ravel(), moments)
    errors = output_errors(rounded - aims, moments).reshape(candidates, outputs)
    best, each = errors.argmin(axis=0), np.arange(outputs)
    return rounded.reshape(len(weights), candidates, outputs)[:, best, each], scales[best, each]
