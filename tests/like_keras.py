"""Hold a network that we build against the one of tf_keras.applications, with weights that Keras wrote to files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.models.architectures import architecture_of
from mbexport.models.keras_import.weights import stored_weights
from mbexport.models.pretrained import head_classes, set_weights
from mbexport.models.spec import NetworkSpec

TOLERANCE = 1e-4


def trained_alike(model: Any, randomize: Callable[..., Any]) -> NDArray[np.float32]:
    """Give `model` random weights under which all its layers say something of the image; returns such images.

    The statistics of batch normalization become those of the images, and are then drawn away from these.
    """
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (8, *model.input_shape[1:])).astype(np.float32)
    randomize(model)
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        changed = (
            mean + rng.normal(0, 0.1, mean.shape) * np.sqrt(variance),
            variance * rng.uniform(0.8, 1.2, mean.shape),
        )
        norm.set_weights([gamma, beta, *changed])
    return images


def assert_like_keras(spec: NetworkSpec, theirs: Any, randomize: Callable[..., Any], folder: Path) -> None:
    """Ours has the names, shapes and parameters of `theirs`, takes its files by name, and answers as it does."""
    row, ours = architecture_of(spec), architecture_of(spec).build(spec)
    images = trained_alike(theirs, randomize)
    total = row.cost(spec)
    assert total.parameters == theirs.count_params() == ours.count_params()
    weighted = [[layer.name for layer in model.layers if layer.weights] for model in (theirs, ours)]
    assert weighted[0] == weighted[1]

    theirs.save_weights(folder / "weights.h5")
    theirs.save(folder / "model.h5")
    theirs.save_weights(folder / "automatic.weights.h5")
    expected = np.asarray(theirs(images))
    assert np.ptp(expected, axis=0).max() > 0.01  # the answers depend on the image
    for file in sorted(folder.glob("*.h5")):
        ours.set_weights([np.zeros_like(value) for value in ours.get_weights()])
        stored = stored_weights(file)
        assert head_classes(row.form, stored) in (spec.classes, None)
        assert set_weights(row.form, ours, stored, source=file, keeps_head=True) == ()
        np.testing.assert_allclose(np.asarray(ours(images)), expected, atol=TOLERANCE, err_msg=file.name)


def assert_backbone_serves(spec: NetworkSpec, theirs: Any, randomize: Callable[..., Any], folder: Path) -> None:
    """The file of `theirs`, which has no top, sets everything in ours but the tail, which keeps its own weights."""
    row, ours = architecture_of(spec), architecture_of(spec).build(spec)
    randomize(theirs)
    file = folder / "no_top.h5"
    theirs.save_weights(file)
    before = {name: ours.get_layer(name).get_weights() for name in row.form.tail}
    stored = stored_weights(file)
    assert head_classes(row.form, stored) is None
    assert set_weights(row.form, ours, stored, source=file, keeps_head=False) == row.form.tail
    for layer in ours.layers:
        expected = before.get(layer.name) or stored.get(layer.name, [])
        for found, wanted in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted, err_msg=layer.name)
