"""Turns a network's weights into one file of named arrays and back."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from mbexport.errors import DataError


def weights_to_bytes(model: tf_keras.Model) -> bytes:
    """The weights as an uncompressed .npz, keyed `layer/index`; equal weights give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(_named(model)))
    return buffer.getvalue()


def load_weights(model: tf_keras.Model, path: Path) -> None:
    """Sets every weight of `model` from a file that `weights_to_bytes` made.

    Raises `DataError` for a file that is damaged or belongs to another network; `model` is then unchanged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            stored = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"the weights {path} cannot be read: {error}") from None
    expected = dict(_named(model))
    for key, value in expected.items():
        found = stored[key].shape if key in stored else "nothing"
        if key not in stored or stored[key].shape != value.shape:
            raise DataError(f"the weights {path} do not fit: {key} must have shape {value.shape}, got {found}")
    for layer in model.layers:
        count = len(layer.weights)
        if count:
            layer.set_weights([stored[f"{layer.name}/{index}"] for index in range(count)])


def _named(model: tf_keras.Model) -> list[tuple[str, Any]]:
    return [
        (f"{layer.name}/{index}", value) for layer in model.layers for index, value in enumerate(layer.get_weights())
    ]
