"""Turns the values that pass through a tensor into its range."""

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import Range

_NARROWEST = 1e-6  # a tensor that is always zero: any range will do, but a scale must be positive


class MinMaxObserver:
    """The smallest range that holds every value seen, and zero."""

    def __init__(self) -> None:
        self._low = 0.0
        self._high = 0.0

    def observe(self, values: NDArray[np.float32]) -> None:
        """Takes in one batch of values, of any shape."""
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))

    def range(self) -> Range:
        """The range so far."""
        return Range(low=self._low, high=max(self._high, self._low + _NARROWEST))
