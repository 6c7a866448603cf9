"""Observers: derive the range of a tensor from the values that pass through it, batch by batch."""

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import Observer
from mbexport.calibration.ranges.cutting import Histogram, entropy_range, mse_range, percentile_range, widest
from mbexport.errors import StageError

# The newest batch's share in the moving average. TensorFlow's 0.001 and PyTorch's 0.01 (MovingAverageMinMaxObserver)
# are made for thousands of steps of training. An average over the last n values has a share of 2 / (n + 1), and 300
# images are about 9 batches.
MOMENTUM: Final = 0.2

_CUTS: Final = MappingProxyType(
    {Observer.PERCENTILE: percentile_range, Observer.MSE: mse_range, Observer.ENTROPY: entropy_range}
)
CUTTING: Final = frozenset(_CUTS)  # those that need every value; the others need each batch's ends only


class MinMaxObserver:
    """The smallest range that holds every value seen, and zero."""

    def __init__(self) -> None:
        self._low = 0.0
        self._high = 0.0

    def observe(self, values: NDArray[np.float32]) -> None:
        """Observe one batch of values, of any shape. Raises `StageError` if a value is not finite."""
        low, high = _ends(values)
        self._low, self._high = min(self._low, low), max(self._high, high)

    def range(self) -> Range:
        """The range so far."""
        return widest(self._low, self._high)


class MovingAverageObserver:
    """The range of the moving averages of each batch's least and greatest value, and zero.

    The average starts at the first batch. The only observer for which batches matter: larger ones have wider
    ranges, later ones count more.
    """

    def __init__(self) -> None:
        self._ends: tuple[float, float] | None = None

    def observe(self, values: NDArray[np.float32]) -> None:
        """Observe one batch of values, of any shape. Raises `StageError` if a value is not finite."""
        ends = _ends(values)
        before = self._ends or ends
        self._ends = (
            before[0] + MOMENTUM * (ends[0] - before[0]),
            before[1] + MOMENTUM * (ends[1] - before[1]),
        )

    def range(self) -> Range:
        """The range so far."""
        low, high = self._ends or (0.0, 0.0)
        return widest(min(0.0, low), max(0.0, high))


class HistogramObserver:
    """The range that an observer cuts out of the histogram of all values."""

    def __init__(self) -> None:
        self._histogram = Histogram()

    def observe(self, values: NDArray[np.float32]) -> None:
        """Observe one batch of values, of any shape. Raises `StageError` if a value is not finite."""
        _ends(values)
        self._histogram.add(values)

    def range(self, observer: Observer) -> Range:
        """The range so far, by `observer`: percentile, MSE or entropy."""
        return _CUTS[observer](self._histogram)


class SiteObserver:
    """Several observers of one tensor, which share its histogram. `auto` is none of them."""

    def __init__(self, observers: Collection[Observer]) -> None:
        self._simple: dict[Observer, MinMaxObserver | MovingAverageObserver] = {}
        if Observer.MINMAX in observers:
            self._simple[Observer.MINMAX] = MinMaxObserver()
        if Observer.MOVING_AVERAGE in observers:
            self._simple[Observer.MOVING_AVERAGE] = MovingAverageObserver()
        self._cuts = [observer for observer in observers if observer in _CUTS]
        self._histogram = HistogramObserver()

    def observe(self, values: NDArray[np.float32]) -> None:
        """Observe one batch of values, of any shape. Raises `StageError` if a value is not finite."""
        for observer in self._simple.values():
            observer.observe(values)
        if self._cuts:
            self._histogram.observe(values)

    def ranges(self) -> Mapping[Observer, Range]:
        """The range so far by each observer."""
        simple = {name: observer.range() for name, observer in self._simple.items()}
        return simple | {name: self._histogram.range(name) for name in self._cuts}


def _ends(values: NDArray[np.float32]) -> tuple[float, float]:
    """The least and the greatest of the values. Raises `StageError` if a value is not finite."""
    low, high = float(values.min()), float(values.max())  # either is NaN if a value is
    if not -math.inf < low <= high < math.inf:
        raise StageError(f"a calibrated tensor must be finite, got values from {low:g} to {high:g}")
    return low, high
