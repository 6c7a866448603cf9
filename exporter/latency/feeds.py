"""Make an input on which to time a file: random images, which take as long as any other ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.formats.runner import Runner
from mbexport.models.preprocess import Preprocess


def random_feed(runner: Runner, rng: np.random.Generator) -> NDArray[Any]:
    """A batch of random uint8 images, prepared for the runner."""
    preprocess = Preprocess(resolution=runner.resolution, channels=runner.channels)
    return runner.prepare(rng.integers(0, 256, (runner.batch, *preprocess.shape), dtype=np.uint8), preprocess)
