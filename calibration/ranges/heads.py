"""The ranges of a detector's outputs: of logits where scores are detections, of codes where boxes may be shown.

A logit far below the least score says nothing, and thousands of them say it: the range of all that are seen has codes
that are a few times too coarse for those that matter. Neighbours then tie, and another one of them is shown.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, INT8_MIN, Range, activation_affine
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.ranges.cutting import NARROWEST, widest
from mbexport.calibration.ranges.logits import rounded

_LOW_SHARES: Final = np.linspace(0, 1, 11)  # of the way from the least score to the lowest logit
_HIGH_SHARES: Final = np.linspace(0.5, 1, 11)  # of the highest
_CODE_SHARES: Final = np.linspace(0.4, 1, 13)  # of both ends
_NEAR: Final = 1.0  # below the least logit: what lies deeper stays below it, whatever it is rounded to

Array = NDArray[np.float32]


def scores_range(detector: DetectorMeasure, teacher: Array, logits: Array) -> Range:
    """The range for `logits` (...) with which their scores are nearest to those of `teacher`, float's logits.

    Nearest by the detector's divergence. The lowest code is no detection: else each anchor of the background would be
    one.
    """
    whole = widest(min(0.0, float(logits.min())), max(0.0, float(logits.max())))
    least_logit = detector.least_logit
    matters = (teacher > least_logit) | (logits > least_logit - _NEAR)
    expected, found = teacher[matters], logits[matters]
    best, least = whole, _divergence(detector, expected, found, whole)
    for high in whole.high * _HIGH_SHARES:
        # So that one step above the lower end is the least score.
        highest = min((CODE_STEPS * least_logit - high) / (CODE_STEPS - 1), 0.0)
        for low in highest + _LOW_SHARES * (whole.low - highest):
            if low < whole.low or high - low < NARROWEST:
                continue
            candidate = Range(low=float(low), high=float(high))
            if not _lowest(candidate) < least_logit:
                continue
            error = _divergence(detector, expected, found, candidate)
            if error < least:
                best, least = candidate, error
    return best


def codes_range(teacher: Array, codes: Array, shares: Array) -> Range:
    """The range for `codes` (n, 4) of boxes with which they have the least squared error from those of `teacher`.

    `shares` (n,) say how much each box counts.
    """
    whole = widest(min(0.0, float(codes.min())), max(0.0, float(codes.max())))
    best, least = whole, _squared(teacher, codes, shares, whole)
    for low in whole.low * _CODE_SHARES:
        for high in whole.high * _CODE_SHARES:
            if high - low < NARROWEST:
                continue
            candidate = Range(low=float(low), high=float(high))
            error = _squared(teacher, codes, shares, candidate)
            if error < least:
                best, least = candidate, error
    return best


def _lowest(interval: Range) -> float:
    """What the lowest code of a range stands for."""
    return float(activation_affine(interval).dequantize(np.array(INT8_MIN)))


def _divergence(detector: DetectorMeasure, teacher: Array, logits: Array, interval: Range) -> float:
    found = detector.score_divergences(teacher, rounded(logits, interval))
    return float(np.asarray(found, np.float64).sum())


def _squared(teacher: Array, codes: Array, shares: Array, interval: Range) -> float:
    errors = np.square(teacher - rounded(codes, interval)).sum(axis=1)
    return float(np.dot(shares.astype(np.float64), errors))
