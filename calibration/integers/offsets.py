"""By what part of a step copies of a channel are shifted, so that their mean rounds in finer steps."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def spread(sources: NDArray[np.int64]) -> Array:
    """The part of a step by which each channel is shifted, (channels,): n copies lie 1 / n from each other."""
    offsets = np.zeros(len(sources))
    for source in np.unique(sources):
        holders = np.flatnonzero(sources == source)
        offsets[holders] = (np.arange(len(holders)) - (len(holders) - 1) / 2) / len(holders)
    return offsets
