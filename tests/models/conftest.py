"""Fixtures: random weights as after training, a check of imported networks, and images of one grey each."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mbexport.models.data.imageset import ImageSet
from mbexport.models.resolution import Resolution

Shades = Callable[..., ImageSet]
Randomize = Callable[..., Any]
Agrees = Callable[..., Any]


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    if name in ("gamma", "moving_variance", "variance"):
        return rng.uniform(0.5, 1.5, shape)
    if name == "count":
        return np.ones(shape)
    if len(shape) > 1:
        is_depthwise = len(shape) == 4 and shape[-1] == 1
        fan_in = math.prod(shape[:2] if is_depthwise else shape[:-1])
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


@pytest.fixture(scope="session")
def agrees() -> Agrees:
    """Imports a file, and requires that its network gives what `model` does on random images; returns the import."""

    from mbexport.models.keras_import.model import import_model  # TensorFlow: most tests here do without it

    def agreed(model: Any, path: Path, *, resolution: Resolution | None = None, trust: bool = False) -> Any:
        imported = import_model(path, resolution=resolution, trust=trust)
        images = np.random.default_rng(7).uniform(-1, 1, (4, *imported.network.input_shape[1:])).astype(np.float32)
        scale, offset = (np.array(value, np.float32) for value in (imported.input_scale, imported.input_offset))
        if abs(scale[0]) < 0.1:  # the model takes bytes
            images = np.round(127.5 * (images + 1))
        expected = np.asarray(model.predict(images, verbose=0), np.float32)
        found = imported.network.predict(images * scale + offset, verbose=0)
        assert np.ptp(found, axis=0).max() > 1e-3  # the answers depend on the image
        np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-5)
        return imported

    return agreed


@pytest.fixture(scope="session")
def shades() -> Shades:
    """Makes images of one grey each, from black to white: that of the label, one after the other unless given."""

    def make(count: int, *, classes: int, labels: Any = None) -> ImageSet:
        shade = np.arange(count, dtype=np.int64) % classes
        return ImageSet(
            labels=shade if labels is None else np.asarray(labels, np.int64),
            names=tuple(map(str, range(count))),
            read=lambda i: Image.new("RGB", (4, 4), (int(shade[i]) * 255 // (classes - 1),) * 3),
        )

    return make
