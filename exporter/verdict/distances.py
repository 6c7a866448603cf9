"""Turns each image's distances into the largest, the mean and a histogram."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BINS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """`counts[i]` images lie from `edges[i]` on, and below `edges[i + 1]`; the last of them at it too."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """The largest and the mean distance over all images and classes, and how many images have which largest one.

    Of no images, or with one that is no number, `largest` and `mean` are NaN; the histogram leaves such images out.
    """

    largest: float
    mean: float
    histogram: Histogram


def distances(worst: NDArray[Any], mean: NDArray[np.float64]) -> Distances:
    """The distances of images of which the largest (n,) and the mean one (n,) are known; integers are codes."""
    return Distances(
        largest=float(worst.max()) if len(worst) else math.nan,
        mean=float(mean.mean()) if len(mean) else math.nan,
        histogram=histogram(worst),
    )


def histogram(values: NDArray[Any]) -> Histogram:
    """At most 20 equal steps from 0 to the largest finite value; for integers, each as wide as a whole number."""
    finite = values[np.isfinite(values)]
    top = finite.max() if finite.size else 0
    if np.issubdtype(values.dtype, np.integer):
        width = math.ceil((int(top) + 1) / _BINS)
        edges: Sequence[float] = range(0, int(top) + 1 + width, width)
    else:
        edges = np.linspace(0.0, float(top), _BINS + 1).tolist() if top > 0 else [0, 1]
    counts, _ = np.histogram(finite, edges)
    return Histogram(edges=tuple(edges), counts=tuple(counts.tolist()))
