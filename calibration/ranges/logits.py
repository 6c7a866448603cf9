"""The range of the logits with which a softmax loses least, and the divergence that measures the loss.

A softmax does not care about the low end: what is far below the largest logit has no probability, whether it is cut
or not. A narrower range has finer steps, and fewer images tie for the first place.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.ranges.cutting import NARROWEST, widest

_LOW_SHARES: Final = np.linspace(0, 1, 11)  # of the lowest value seen: candidates for the low end
_HIGH_SHARES: Final = np.linspace(0.5, 1, 11)

Array = NDArray[np.float32]


def logits_range(teacher: Array, logits: Array) -> Range:
    """The range for `logits` (n, classes) with which their probabilities are nearest to those of `teacher`.

    `teacher` are the float network's logits, of the same shape. Nearest by the mean Kullback-Leibler divergence;
    candidates lie between the least and the greatest value.
    """
    best = widest(min(0.0, float(logits.min())), max(0.0, float(logits.max())))
    low, high = best.low, best.high
    expected = np.exp(_log_softmax(teacher))
    least = _cross_entropy(expected, rounded(logits, best))
    for low_end in _LOW_SHARES * low:
        for high_end in _HIGH_SHARES * high:
            if high_end - low_end < NARROWEST:
                continue
            candidate = Range(low=float(low_end), high=float(high_end))
            error = _cross_entropy(expected, rounded(logits, candidate))
            if error < least:
                best, least = candidate, error
    return best


def rounded(values: Array, interval: Range) -> Array:
    """`values` rounded to the 256 codes of `interval`, as an integer artifact holds them."""
    affine = activation_affine(interval)
    return affine.dequantize(affine.quantize(values))


def divergence(teacher: Array, logits: Array) -> float:
    """The mean of `divergences`."""
    return float(divergences(teacher, logits).mean())


def divergences(teacher: Array, logits: Array) -> NDArray[np.float64]:
    """The Kullback-Leibler divergence from softmax(teacher) to softmax(logits), both (n, classes): (n,), in nats."""
    expected, actual = _log_softmax(teacher), _log_softmax(logits)
    return np.asarray((np.exp(expected) * (expected - actual)).sum(axis=1))


def _cross_entropy(expected: NDArray[np.float64], logits: Array) -> float:
    """The mean of -log softmax(`logits`) over the probabilities `expected`, both (n, classes); in nats.

    The divergence and what does not depend on `logits`, in half the time.
    """
    return float(-np.einsum("nc,nc->n", expected, _log_softmax(logits)).mean())


def _log_softmax(values: Array) -> NDArray[np.float64]:
    shifted = values.astype(np.float64) - values.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
