"""Turns the installed code and libraries into a short text: what else than options decides a stage's result."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import mbexport
import mbexport.calibration
import mbexport.models

LIBRARIES: Final = (
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "numpy",
    "pillow",
    "scikit-learn",
)


@cache
def library_versions() -> dict[str, str]:
    """The version of each library that touches an artifact, without importing it."""
    return {name: _version(name) for name in LIBRARIES}


@cache
def code_fingerprint() -> str:
    """A hash of this package's own modules."""
    digest = hashlib.sha256(mbexport.__version__.encode())
    for package in (mbexport, mbexport.models, mbexport.calibration):
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("*.py")):
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
