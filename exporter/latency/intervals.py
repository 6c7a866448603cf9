"""Medians of latencies and their ratios over several sittings, with intervals that hold the truth in 95 % of cases.

Times of one sitting are not independent: two copies of one file differ by where their buffers came to lie, and a busy
moment lasts for several rounds. Both are drawn anew in each sitting, so sittings are what is resampled first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import StageError

Times = tuple[NDArray[np.float64], ...]  # one array of milliseconds for each sitting

MIN_SITTINGS: Final = 2  # one sitting does not show how much the next may differ
_RESAMPLES: Final = 1000
_MOST_DRAWN: Final = 64  # rounds of one sitting; to draw fewer than there are makes an interval wider, never narrower
_CUT: Final = 4  # the midmean leaves out a quarter of the sittings at each end


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def relative_error(self) -> float:
        """The distance of either end from the value, as a fraction of it."""
        return float(np.sqrt(self.high / self.low)) - 1


def median_interval(times: Times) -> Interval:
    """The typical median of the sittings, in milliseconds. Raises `StageError` for fewer than two sittings."""
    (drawn,) = _resampled([times], seed=0)
    return _interval(_log_medians(times), drawn)


def ratio_interval(a: Times, b: Times, *, seed: int = 0) -> Interval:
    """The typical ratio of medians, a over b, of artifacts that were timed together in the same sittings.

    The ratio is taken within each sitting, so that what slows a whole sitting favours neither: on a busy machine
    intervals are half as wide as those of the ratio of all runs' medians. Raises `StageError` for fewer than two
    sittings.
    """
    of_a, of_b = _resampled([a, b], seed)
    return _interval(_log_medians(a) - _log_medians(b), of_a - of_b)


def _interval(logs: NDArray[np.float64], drawn: NDArray[np.float64]) -> Interval:
    """e^m for the midmean m of `logs` (sittings,), over and times e^h: h is Student's quantile of m's error.

    That standard error is the spread of m over the resamples `drawn` (_RESAMPLES, sittings). The factor
    sqrt(n / (n - 1)) is what resampling n values takes from their variance (Efron & Tibshirani 1993, chapter 5).
    """
    from scipy.special import stdtrit

    sittings = len(logs)
    error = float(_midmean(drawn).std(ddof=1)) * np.sqrt(sittings / (sittings - 1))
    middle, half = float(_midmean(logs)), float(stdtrit(sittings - 1, 0.975) * error)
    low, value, high = np.exp([middle - half, middle, middle + half]).tolist()
    return Interval(value=value, low=low, high=high)


def _midmean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the middle half along the last axis, which a few disturbed sittings do not move."""
    cut = values.shape[-1] // _CUT
    middle: NDArray[np.float64] = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)
    return middle


def _log_medians(times: Times) -> NDArray[np.float64]:
    return np.log([float(np.median(each)) for each in times])


def _resampled(samples: Sequence[Times], seed: int) -> list[NDArray[np.float64]]:
    """The logarithms of medians (_RESAMPLES, sittings) of each sample: sittings are drawn, then rounds within them.

    All samples draw the same sittings, and the same rounds where they have equally many, so that what disturbed all of
    them stays together.
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
        logs.append(np.log(np.median(values, axis=2)))
    return logs
