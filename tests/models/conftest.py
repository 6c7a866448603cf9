"""Networks that tests import: small, with weights and statistics such as training leaves behind."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Randomize = Callable[..., Any]


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    if name in ("gamma", "moving_variance", "variance"):
        return rng.uniform(0.5, 1.5, shape)
    if name == "count":
        return np.ones(shape)
    if len(shape) > 1:
        fan_in = math.prod(shape[:2]) if name == "depthwise_kernel" else math.prod(shape[:-1])
        return rng.normal(0, math.sqrt(2 / fan_in), shape)
    return rng.normal(0, 0.3, shape)


@pytest.fixture(scope="session")
def randomize() -> Randomize:
    """Gives a tf_keras or Keras 3 model weights drawn from a seed; returns the model."""

    def randomized(model: Any, *, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        names = [weight.name.split("/")[-1].split(":")[0] for weight in model.weights]
        shapes = [tuple(weight.shape) for weight in model.weights]
        model.set_weights([_values(name, shape, rng) for name, shape in zip(names, shapes, strict=True)])
        return model

    return randomized
