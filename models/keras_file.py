"""Write a float network as a whole-model .h5 of Keras, which `keras_import` and Keras itself read."""

import tempfile
import warnings
from pathlib import Path

import tf_keras


def network_to_h5(model: tf_keras.Model, *, name: str) -> bytes:
    """The network under this name, without an optimizer; equal weights give equal bytes."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras calls the form old; its new one holds the time
        file = Path(folder) / "model.h5"
        tf_keras.Model(model.inputs, model.outputs, name=name).save(file, include_optimizer=False)
        return file.read_bytes()
