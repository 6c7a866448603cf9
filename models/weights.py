"""Store a network's weights as one .npz of named arrays, and load them."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import DataError


def weights_to_bytes(model: tf_keras.Model) -> bytes:
    """The weights as an uncompressed .npz, keyed `layer/index`; equal weights give equal bytes."""
    return arrays_to_bytes(dict(_named(model)))


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as an uncompressed .npz; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options
    return buffer.getvalue()


def arrays_from_bytes(content: bytes, *, source: str) -> dict[str, NDArray[Any]]:
    """The arrays in the content of an .npz. Raises `DataError`, which calls it `source`, for a damaged one."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {
                name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
            }
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"the weights {source} cannot be read: {error}") from None


def load_weights(model: tf_keras.Model, path: Path) -> None:
    """Set every weight of `model` to those in a file that `weights_to_bytes` made.

    Raises `DataError` for a file that is damaged or belongs to another network; `model` is then unchanged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the weights {path} cannot be read: {error}") from None
    weights_from_bytes(model, content, source=str(path))


def weights_from_bytes(model: tf_keras.Model, content: bytes, *, source: str) -> None:
    """The same as `load_weights` for the content of a file, which errors call `source`."""
    stored = arrays_from_bytes(content, source=source)
    expected = dict(_named(model))
    for key, value in expected.items():
        found = stored.get(key)
        if found is None or found.shape != value.shape:
            got = "nothing" if found is None else found.shape
            raise DataError(f"the weights {source} do not fit: {key} must have shape {value.shape}, got {got}")
        if found.dtype != value.dtype:
            raise DataError(f"the weights {source} do not fit: {key} must be {value.dtype}, got {found.dtype}")
    if len(stored) > len(expected):
        stranger = next(key for key in stored if key not in expected)
        raise DataError(f"the weights {source} do not fit: the network has no weight {stranger}")
    for layer in model.layers:
        count = len(layer.weights)
        if count:
            layer.set_weights([stored[f"{layer.name}/{index}"] for index in range(count)])


def _named(model: tf_keras.Model) -> list[tuple[str, Any]]:
    return [
        (f"{layer.name}/{index}", value) for layer in model.layers for index, value in enumerate(layer.get_weights())
    ]
