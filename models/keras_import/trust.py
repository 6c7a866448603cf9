"""Load what runs code from the file, Lambda layers and pickles, once the user trusts it."""

import sys
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import Call
from mbexport.models.keras_import.steps import Array, Scale, Step

_PROBES: Final = 4  # random images, besides the two from which the scaling is read
_SEED: Final = 0
_TOLERANCE: Final = 1e-4  # of the largest value: float32 keeps 1e-7 of it, arithmetic on bytes a few times more


def trusted_lambda_steps(call: Call, shape: tuple[int, ...]) -> list[Step]:
    """The Lambda as a `Scale` of each channel, or nothing where it is the identity. It runs code from the file.

    `shape` is that of one example at the Lambda: (height, width, channels) or (channels,). Raises
    `DataError` if it cannot be loaded, or is no scaling of values from -300 to 300.
    """
    config = lambda_config(call)
    try:
        layer = tf_keras.layers.Lambda.from_config(config)
    except Exception as error:  # whatever the foreign code trips over
        raise DataError(f"{call} cannot be loaded: {_line(error)}") from None
    zeros = np.zeros((1, *shape), np.float32)
    shift = _first_pixel(_called(call, layer, zeros))
    factor = (_first_pixel(_called(call, layer, zeros + np.float32(255))) - shift) / 255
    probes: NDArray[np.float32] = np.random.default_rng(_SEED).uniform(-300, 300, (_PROBES, *shape)).astype(np.float32)
    for images in (zeros, np.round(probes).astype(np.float32), probes, probes / np.float32(300)):
        expected = images * factor + shift
        most = max(1.0, float(np.abs(expected).max()))
        if not np.allclose(_called(call, layer, images), expected, rtol=0, atol=_TOLERANCE * most):
            raise DataError(f"{call} must be a scaling of its input: anything else has no integer form")
    if np.all(factor == 1) and not shift.any():
        return []
    return [Scale(name=call.name, factor=factor, shift=shift)]


def resave_pickle(path: Path, folder: Path) -> Path:
    """Load the Keras or tf_keras model in a pickle, which runs code from the file, and save it in `folder` as a .keras.

    Raises `DataError` if the file cannot be unpickled, or holds anything else.
    """
    try:
        model = joblib.load(path)  # reads plain pickles, too
    except Exception as error:  # whatever the foreign code trips over
        raise DataError(f"the pickle {path} cannot be loaded: {_line(error)}") from None
    libraries = [tf_keras, sys.modules.get("keras")]  # a model of Keras 3 has imported it
    if not any(library is not None and isinstance(model, library.Model) for library in libraries):
        raise DataError(f"the pickle {path} must hold a Keras model, got a {type(model).__name__}")
    saved = folder / "model.keras"
    try:
        model.save(saved)
    except Exception as error:  # models of classes of their own
        raise DataError(f"the model in {path} cannot be saved: {_line(error)}") from None
    return saved


def _first_pixel(values: NDArray[np.float32]) -> Array:
    """The value of each channel in the first pixel of the first image."""
    return np.asarray(values.reshape(-1, values.shape[-1])[0], np.float64)


def _called(call: Call, layer: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        found = np.asarray(layer(images), np.float32)
    except Exception as error:  # whatever the foreign code trips over
        raise DataError(f"{call} cannot be run on images: {_line(error)}") from None
    if found.shape != images.shape:
        raise DataError(f"{call} must keep the shape {images.shape[1:]}, got {found.shape[1:]}")
    return found


def lambda_config(call: Call) -> dict[str, Any]:
    """The configuration of a Lambda as tf_keras reads it: Keras 3 wraps the code of the function in a mapping."""
    function, kind = call.config["function"], call.config.get("function_type", "function")
    if isinstance(function, dict) and function.get("class_name") == "__lambda__":
        code = function["config"]
        function, kind = [code["code"], code["defaults"], code["closure"]], "lambda"
    elif isinstance(function, dict):
        raise DataError(f"{call} names the function {function.get('config')}, which the file does not hold")
    return {
        "name": call.name, "function": function, "function_type": kind, "module": call.config.get("module"),
        "arguments": dict(call.config.get("arguments") or {}), "output_shape": None, "output_shape_type": "raw",
    }  # fmt: skip


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
