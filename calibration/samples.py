"""Draw samples of a data set that are balanced over its classes."""

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import OptionError


def balanced_samples(labels: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """The indices of at most `count` images, int64, in which no class has two more than another that still had some.

    Classes take turns in a shuffled order, each giving a random image, so that any `count` is as balanced as it
    can be; `labels` (n,) are the images' classes, `seed` decides the draw. Raises `OptionError` for a count below 1.
    """
    if not count >= 1:
        raise OptionError(f"calibration samples must be at least 1, got {count}")
    rng = np.random.default_rng(seed)
    queues = [rng.permutation(np.flatnonzero(labels == label)).tolist() for label in rng.permutation(np.unique(labels))]
    chosen: list[int] = []
    while queues and len(chosen) < count:
        chosen += [queue.pop() for queue in queues][: count - len(chosen)]
        queues = [queue for queue in queues if queue]
    return np.array(chosen, dtype=np.int64)
