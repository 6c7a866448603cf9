"""Confidence intervals and tests of fractions and of their differences, and histograms of distances.

Of two classifiers on the same images only the discordant counts matter: the images that one answered rightly and the
other did not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BINS: Final = 20
_CONFIDENCE: Final = 0.95
_Z95: Final = 1.959963984540054  # the 97.5 % point of the normal distribution
_RESAMPLES: Final = 10_000
_FEWEST_VALUES: Final = 2  # one does not show how far the next may lie
# Far below any interval's width, z^2 / n: keeps the wanted root apart from the one at the estimate.
_APART: Final = 1e-9
Interval = tuple[float, float]
_ANY_DIFFERENCE: Final[Interval] = (-1.0, 1.0)  # of two fractions: what no sample at all leaves open


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """`counts[i]` images have a value in `edges[i]` <= x < `edges[i + 1]`; the last bin includes its end."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """The largest and the mean distance over all images and classes, and a histogram of each image's largest one.

    Of no images, or with one that is no number, `largest` and `mean` are NaN; the histogram leaves such images out.
    """

    largest: float
    mean: float
    histogram: Histogram


def distances(worst: NDArray[Any], mean: NDArray[np.float64]) -> Distances:
    """Summarize distances, of which each image's largest (n,) and mean (n,) are known; integers are codes."""
    return Distances(
        largest=float(worst.max()) if len(worst) else math.nan,
        mean=float(mean.mean()) if len(mean) else math.nan,
        histogram=histogram(worst),
    )


def histogram(values: NDArray[Any]) -> Histogram:
    """Count values in at most 20 equal bins from 0 to the largest finite one; of integers, bins have whole widths."""
    finite = values[np.isfinite(values)]
    top = finite.max() if finite.size else 0
    if np.issubdtype(values.dtype, np.integer):
        width = math.ceil((int(top) + 1) / _BINS)
        edges: Sequence[float] = range(0, int(top) + 1 + width, width)
    else:
        edges = np.linspace(0.0, float(top), _BINS + 1).tolist() if top > 0 else [0, 1]
    counts, _ = np.histogram(finite, edges)
    return Histogram(edges=tuple(edges), counts=tuple(counts.tolist()))


def share(hits: NDArray[np.bool_] | None) -> float:
    """The fraction of `hits` (n,) that are true; NaN, which fails every gate, of none at all or for None."""
    return float(hits.mean()) if hits is not None and len(hits) else math.nan


def wilson_interval(successes: int, samples: int) -> Interval:
    """The 95 % confidence interval of a fraction (Wilson 1927, "Probable inference", eq. for the score interval).

    Without samples it is (0, 1).
    """
    from scipy.stats import binomtest  # a second to load

    if samples == 0:
        return 0.0, 1.0
    interval = binomtest(successes, samples).proportion_ci(confidence_level=_CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """The 95 % confidence interval of the mean of `values` (n,), by Student's distribution (Student 1908).

    (-inf, inf) for fewer than two values, NaN where one is no number.
    """
    from scipy.special import stdtrit

    count = len(values)
    if count < _FEWEST_VALUES:
        return -math.inf, math.inf
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(count)
    half = float(stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * error
    return mean - half, mean + half


def mcnemar_p(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of discordant counts: how likely counts this unequal are if both are equally good.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions", with the binomial
    distribution itself: 2 P(X <= min), X ~ B(a + b, 1/2), at most 1. Without a discordant image it is 1.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def bootstrap_interval(only_a: int, only_b: int, samples: int, *, seed: int = 0) -> Interval:
    """The 95 % percentile interval of accuracy a - accuracy b over resampled images (Efron 1979).

    An image is answered rightly by a alone, by b alone, or makes no difference: to resample images, with their pairs
    of answers, is a multinomial draw of these three counts. Where no image is discordant the interval has width 0.
    """
    _require_counts(only_a, only_b, samples)
    if samples == 0:
        return _ANY_DIFFERENCE
    shares = np.array([only_a, only_b, samples - only_a - only_b]) / samples
    drawn = np.random.default_rng(seed).multinomial(samples, shares, size=_RESAMPLES)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / samples, (tail, 1 - tail))
    return float(low), float(high)


def score_interval(only_a: int, only_b: int, samples: int) -> Interval:
    """The 95 % score interval of accuracy a - accuracy b of one set of images.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design". Where no image is discordant it still says what `samples` images can: z^2 / (n + z^2) on either side.
    """
    _require_counts(only_a, only_b, samples)
    if samples == 0:
        return _ANY_DIFFERENCE
    return -_upper_score_limit(only_b, only_a, samples), _upper_score_limit(only_a, only_b, samples)


def _upper_score_limit(only_a: int, only_b: int, samples: int) -> float:
    """The largest difference d that (a - b - n d)^2 / (n (2 q + d (1 - d))) <= z^2 does not refuse.

    q is the most probable share of `only_b` given d: the larger root of 2 n q^2 + B q + C (Tango 1998, section 3).
    """
    from scipy.optimize import brentq

    estimate = (only_a - only_b) / samples

    def excess(difference: float) -> float:
        linear = (2 * samples - only_a + only_b) * difference - only_a - only_b
        constant = -only_b * difference * (1 - difference)
        # Where both roots are one, rounding must not make the root's square negative.
        root = math.sqrt(max(0.0, linear**2 - 8 * samples * constant))
        share = (root - linear) / (4 * samples)
        distance = only_a - only_b - samples * difference
        return distance**2 - _Z95**2 * samples * (2 * share + difference * (1 - difference))

    if only_a == samples:
        return 1.0
    return float(brentq(excess, estimate + _APART * (1 - estimate), 1.0, xtol=1e-12))


def _require_counts(only_a: int, only_b: int, samples: int) -> None:
    """Raises `ValueError` for counts that no set of `samples` images can have."""
    if not (only_a >= 0 and only_b >= 0 and only_a + only_b <= samples):
        raise ValueError(f"discordant counts must be in 0..{samples} together, got {only_a} and {only_b}")
