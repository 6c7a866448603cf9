"""Turns the values that pass through a tensor into its range."""

import math

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.errors import StageError

_NARROWEST = 1e-4  # a tensor that is always zero: any range will do, but a scale must be positive


class MinMaxObserver:
    """The smallest range that holds every value seen, and zero."""

    def __init__(self) -> None:
        self._low = 0.0
        self._high = 0.0

    def observe(self, values: NDArray[np.float32]) -> None:
        """Takes in one batch of values, of any shape. Raises `StageError` if one is not finite."""
        low, high = float(values.min()), float(values.max())  # either is NaN if a value is
        if not -math.inf < low <= high < math.inf:
            raise StageError(f"a calibrated tensor must be finite, got values from {low:g} to {high:g}")
        self._low, self._high = min(self._low, low), max(self._high, high)

    def range(self) -> Range:
        """The range so far."""
        return Range(low=self._low, high=max(self._high, self._low + _NARROWEST))
