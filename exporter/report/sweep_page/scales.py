"""Scales of a sweep's charts: costs on logarithmic ones with few round numbers, accuracies in percent."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS: Final = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    tuple(1 + 0.1 * i for i in range(90)),
)
_FEWEST, _MOST = 3, 6
_AROUND: Final = 0.08  # of the range, beyond the first and the last value
_NARROWEST: Final = 1.5  # times the smallest value: a single file has a scale, too
_LEAST_SHARE: Final = 0.02


def log_scale(axes: "Axes", values: Sequence[float]) -> None:
    """Give a panel a logarithmic x axis that holds all positive `values`, with round numbers under it."""
    from matplotlib.ticker import NullLocator

    low, high = min(values), max(values)
    widened = max(high / low, _NARROWEST) ** _AROUND * max(1.0, math.sqrt(_NARROWEST * low / high))
    low, high = low / widened, high * widened
    ticks = round_numbers(low, high)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axes.set_xlim(low, high)


def share_scale(axes: "Axes", intervals: Sequence[tuple[float, float]]) -> None:
    """Give a panel a y axis in percent that holds all `intervals` of fractions."""
    low, high = min(low for low, _ in intervals), max(high for _, high in intervals)
    around = max(_AROUND * (high - low), _LEAST_SHARE)
    axes.set_ylim(100 * (low - around), 100 * (high + around))
    axes.locator_params(axis="y", nbins=6)


def round_numbers(low: float, high: float) -> list[float]:
    """A few round numbers between two positive ones: of 1, of 1 and 3, and so on, times powers of ten."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        ticks = [
            each for each in (float(f"{step:g}e{power}") for power in powers for step in steps) if low <= each <= high
        ]
        if len(ticks) >= _FEWEST:
            break
    return ticks[:: math.ceil(len(ticks) / _MOST)] if ticks else []
