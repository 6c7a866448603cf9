"""Turns the times of several sittings into medians and ratios, with intervals that hold the truth as often as they say.

Times of one sitting are not independent: two copies of one file differ by where their buffers came to lie, and a busy
moment lasts for several rounds. Both are drawn anew in each sitting, so sittings are what is resampled first.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import StageError

Times = tuple[NDArray[np.float64], ...]  # one array of milliseconds for each sitting

MIN_SITTINGS: Final = 2  # one sitting says nothing of how much the next may differ
_RESAMPLES: Final = 1000
_MOST_DRAWN: Final = 64  # rounds of one sitting; fewer than there are make an interval wider, never narrower


def median_of(times: Times) -> float:
    """The median of all runs of all sittings."""
    return float(np.median(np.concatenate(times)))


def median_interval(times: Times, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the median. Raises `StageError` for fewer than two sittings."""
    (medians,) = _resampled_logs([times], seed)
    return _interval(median_of(times), medians, sittings=len(times))


def ratio_interval(a: Times, b: Times, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of median(a) / median(b), of the same sittings, timed together.

    Raises `StageError` for fewer than two sittings.
    """
    of_a, of_b = _resampled_logs([a, b], seed)
    return _interval(median_of(a) / median_of(b), of_a - of_b, sittings=len(a))


def _interval(value: float, logs: NDArray[np.float64], *, sittings: int) -> tuple[float, float]:
    """`value` times and over e^h, where h is Student's quantile times the bootstrap's standard error.

    The factor sqrt(n / (n - 1)) is what resampling n values takes from their variance (Efron & Tibshirani 1993, 5.3).
    """
    from scipy.special import stdtrit

    error = float(logs.std(ddof=1)) * np.sqrt(sittings / (sittings - 1))
    factor = float(np.exp(stdtrit(sittings - 1, 0.975) * error))
    return value / factor, value * factor


def _resampled_logs(samples: Sequence[Times], seed: int) -> list[NDArray[np.float64]]:
    """The logarithms of each sample's median in resamples (_RESAMPLES,): sittings are drawn, then rounds within them.

    All samples draw the same sittings, and the same rounds where they have equally many, so that what disturbed all
    stays together.
    """
    sittings = len(samples[0])
    if not sittings >= MIN_SITTINGS or any(len(times) != sittings for times in samples):
        raise StageError(f"an interval needs the same sittings of both, at least {MIN_SITTINGS}, got {sittings}")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, sittings, (_RESAMPLES, sittings))
    widths = [min(_MOST_DRAWN, max(map(len, times))) for times in samples]
    places = rng.random((_RESAMPLES, sittings, max(widths)))
    logs = []
    for times, width in zip(samples, widths, strict=True):
        counts = np.array([len(each) for each in times])
        starts = np.cumsum(counts) - counts
        within = (places[..., :width] * counts[drawn][..., None]).astype(np.int64)
        values = np.concatenate(times)[starts[drawn][..., None] + within]
        logs.append(np.log(np.median(values, axis=(1, 2))))
    return logs
