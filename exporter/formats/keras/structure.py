"""Check a stored Keras model before TensorFlow is loaded: its archive, its configuration and every array in it."""

import zipfile
from pathlib import Path
from typing import Final

import h5py

from mbexport.errors import DataError
from mbexport.models.keras_import.files import model_config, open_plain_hdf5, report_damage, storage_kind

_WEIGHTS: Final = "model.weights.h5"  # in a .keras
_MAX_NESTING: Final = 64  # of groups in an HDF5 file: models of models have a dozen


def require_sound(path: Path) -> None:
    """Read all that a .h5 or .keras stores, as h5py does; raise `DataError`, which names the file, for damage.

    Nothing is known of a pickle before its code runs, and a SavedModel is TensorFlow's own.
    """
    if storage_kind(path) not in ("hdf5", "zip"):
        return
    model_config(path)
    if storage_kind(path) == "zip" and not _holds_weights(path):
        return  # whoever needs them says so
    with report_damage(path), open_plain_hdf5(path) as file:
        names: list[str] = []
        file.visititems(lambda name, value: names.append(name) if isinstance(value, h5py.Dataset) else None)
        for name in names:
            if name.count("/") > _MAX_NESTING:
                raise DataError(f"the model {path} must nest at most {_MAX_NESTING} groups, got {name[:80]}")
            file[name][()]


def _holds_weights(path: Path) -> bool:
    with report_damage(path), zipfile.ZipFile(path) as archive:
        return _WEIGHTS in archive.namelist()
