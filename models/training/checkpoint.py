"""Save a training between two epochs as bytes, and restore it."""

import io
import json
import math
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import tensorflow as tf
import tf_keras

_STATE: Final = "state.json"
_BEST: Final = "best.npz"
_VARIABLES: Final = "variables"


@dataclass(slots=True, kw_only=True)
class Progress:
    """The state of a training between epochs; `best_epoch.py` decides which epoch is the best."""

    epochs_done: int = 0
    best_accuracy: float = -math.inf
    best_loss: float = math.inf
    best_epoch: int = 0
    best_weights: bytes = b""
    history: list[dict[str, float]] = field(default_factory=list)


def checkpoint(model: tf_keras.Model, progress: Progress) -> bytes:
    """Save what the next epoch needs: weights, the optimizer's state, the generator of dropout, and `progress`."""
    state = {
        name: getattr(progress, name) for name in ("epochs_done", "best_accuracy", "best_loss", "best_epoch", "history")
    }
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(_STATE, json.dumps(state))
        archive.writestr(_BEST, progress.best_weights)
        _tracked(model, with_optimizer=True).write(f"{folder}/{_VARIABLES}")
        for file in sorted(Path(folder).iterdir()):
            archive.write(file, file.name)
    return buffer.getvalue()


def read_progress(content: bytes) -> Progress:
    """The `Progress` in a checkpoint."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return Progress(**json.loads(archive.read(_STATE)), best_weights=archive.read(_BEST))


def restore(model: tf_keras.Model, content: bytes, *, with_optimizer: bool) -> None:
    """Set the variables of `model`, which is compiled and has its optimizer built, to those of a checkpoint."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.startswith(_VARIABLES):
                archive.extract(name, folder)
        status = _tracked(model, with_optimizer=with_optimizer).read(f"{folder}/{_VARIABLES}")
        status.assert_existing_objects_matched()
        status.expect_partial()


def _tracked(model: tf_keras.Model, *, with_optimizer: bool) -> tf.train.Checkpoint:
    generators = [
        # Keras does not save a layer's own generator.
        layer._random_generator._generator
        for layer in model.layers
        if isinstance(layer, tf_keras.layers.Dropout) and layer._random_generator._generator is not None
    ]
    optimizer = {"optimizer": model.optimizer} if with_optimizer else {}
    # Not the model itself: that would include its optimizer.
    return tf.train.Checkpoint(weights=model.weights, generators=generators, **optimizer)
