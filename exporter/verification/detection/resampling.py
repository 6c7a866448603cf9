"""Intervals of what is measured on images with many objects each: by samples of the images, with all that is in them.

The objects of an image are not independent: a blurred photo loses all of its boxes. So images are drawn, not objects
(Efron 1979, "Bootstrap methods"). Everything is measured on the same samples, so that what two detectors have in common
does not widen the interval of their difference.

What samples tell is how far a value scatters, and the interval is that in Student's quantiles around the value. Their
percentiles would be shifted: AP is a little too high on few images, and on samples of these, which repeat some, once
more. Of 55 sets of 72 simulated photos the interval of a drop held the truth in 91 of 100, percentiles in 87.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.detection.average_precision import weighted
from mbexport.models.detection.matches import ClassMatches
from mbexport.verification.statistics import Interval, wilson_interval

SAMPLES: Final = 1000
_AT_ONCE: Final = 50  # samples: the largest arrays hold so many numbers a detection
_TAIL: Final = 0.025
_FEWEST_IMAGES: Final = 2  # one does not show how far the next may lie
UNKNOWN: Final[Interval] = (math.nan, math.nan)
FRACTION: Final[Interval] = (0.0, 1.0)
DIFFERENCE: Final[Interval] = (-1.0, 1.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of `count` things, with its 95 % interval; NaN of none."""

    value: float
    ci95: Interval
    count: int


NO_SHARE: Final = Share(value=math.nan, ci95=UNKNOWN, count=0)


def image_samples(images: int, *, seed: int = 0, samples: int = SAMPLES) -> Floats:
    """How often each of so many samples has each image: (samples, images), as many images in each as there are."""
    if not images:
        return np.zeros((0, 0))
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=samples).astype(np.float64)


def sampled_precision(matches: tuple[ClassMatches, ...], samples: Floats) -> Floats:
    """AP at each threshold on each of the samples (b, images): (b, 10)."""
    parts = [weighted(matches, samples[at : at + _AT_ONCE]) for at in range(0, len(samples), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros((0, 10))


def interval(value: float, sampled: Floats, *, images: int, ends: Interval = FRACTION) -> Interval:
    """The 95 % interval of a value, from those of samples (b,) of so many images; it lies within `ends`.

    Samples without a number say nothing. NaN for a value that is no number; `ends` of fewer than two images.
    """
    from scipy.special import stdtrit

    known = sampled[~np.isnan(sampled)]
    if math.isnan(value):
        return UNKNOWN
    if images < _FEWEST_IMAGES or not len(known):
        return ends
    # Samples of n images scatter as n - 1 independent ones do.
    error = float(known.std()) * math.sqrt(images / (images - 1))
    half = float(stdtrit(images - 1, 1 - _TAIL)) * error
    return max(value - half, ends[0]), min(value + half, ends[1])


def share(hits: NDArray[np.int64], of: NDArray[np.int64], samples: Floats) -> Share:
    """The share of all things in all images that are hits, from counts by image (n,).

    Its interval is the wider one, on either side, of two: that of samples of images, which knows that things of one
    image go together, and Wilson's, which knows that few things without a miss prove little.
    """
    total = int(of.sum())
    if not total:
        return NO_SHARE
    value = float(hits.sum() / total)
    drawn = samples @ of
    sampled = np.divide(samples @ hits, drawn, out=np.full(len(samples), np.nan), where=drawn > 0)
    ends = interval(value, sampled, images=len(of)), wilson_interval(int(hits.sum()), total)
    return Share(value=value, ci95=(min(low for low, _ in ends), max(high for _, high in ends)), count=total)
