"""Turns timings into a warning: one sentence, where the machine was too restless to tell ratios of a few percent."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mbexport.latency.intervals import Times, median_of

_MOST_BUSY: Final = 0.5  # of all cores, by others
_MOST_UNSURE: Final = 0.05  # of a median, to either side
_MOST_SPREAD: Final = 0.15  # of a median, between the quartiles of the sittings' own medians


def noise_of(times: Mapping[tuple[str, int], Times], *, busy_before: float) -> str | None:
    """What says that ratios of a few percent cannot be told, or that others worked beside us; None if nothing does.

    `times` are known by artifact and threads; `busy_before` is the share of all cores that others used before.
    """
    reasons = []
    unsure = {key: median_of(each).unsureness for key, each in times.items()}
    name, threads = worst = max(unsure, key=unsure.__getitem__)
    if unsure[worst] > _MOST_UNSURE:
        reasons.append(f"the median of {name} on {threads} thread(s) is known to {unsure[worst]:.0%} only")
    spread = {key: _spread(each) for key, each in times.items()}
    name, threads = worst = max(spread, key=spread.__getitem__)
    if spread[worst] > _MOST_SPREAD:
        reasons.append(f"half of the sittings of {name} on {threads} thread(s) lie {spread[worst]:.0%} apart")
    if busy_before > _MOST_BUSY:
        reasons.append(f"other programs kept {busy_before:.0%} of the cores busy before the run")
        if len(reasons) == 1:
            return f"latencies may be higher than on a quiet machine: {reasons[0]}"
    return "too noisy to tell ratios of a few percent: " + "; ".join(reasons) if reasons else None


def _spread(times: Times) -> float:
    """What lies between the quartiles of the sittings' medians, as a fraction of their median."""
    low, middle, high = np.percentile([np.median(each) for each in times], [25, 50, 75])
    return float((high - low) / middle)
