"""Turns the installed code and libraries into a short text: what else than options decides a stage's result."""

import hashlib
import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import mbexport
import mbexport.calibration
import mbexport.latency
import mbexport.models
import mbexport.models.keras_import
import mbexport.onnx_passes
import mbexport.runtimes
import mbexport.verdict
from mbexport.errors import DataError

LIBRARIES: Final = (
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
    "flatbuffers",
    "numpy",
    "pillow",
    "scikit-learn",
)
_PACKAGES: Final = (
    mbexport,
    mbexport.verdict,
    mbexport.latency,
    mbexport.runtimes,
    mbexport.onnx_passes,
    mbexport.models,
    mbexport.models.keras_import,
    mbexport.calibration,
)

_DELIVERING: Final = ("mbexport.bundles", "mbexport.provenance", "mbexport.reporting")
_CACHE: Final = "__pycache__"


@cache
def library_versions() -> dict[str, str]:
    """The version of each library that touches an artifact, without importing it."""
    return {name: _version(name) for name in LIBRARIES}


@cache
def code_fingerprint() -> str:
    """A hash of those of our modules that decide what stages make."""
    digest = hashlib.sha256(mbexport.__version__.encode())
    for package in _PACKAGES:
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("*.py")):
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@cache
def tool_fingerprint() -> str:
    """A hash of all that decides what is delivered: our modules, and the templates and sources that bundles copy."""
    digest = hashlib.sha256(code_fingerprint().encode())
    for name in _DELIVERING:
        spec = find_spec(name)  # by name: they stand above this module
        for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
            files = (file for file in folder.rglob("*") if file.is_file() and _CACHE not in file.parts)
            for file in sorted(files):
                digest.update(os.fsencode(file.relative_to(folder)) + b"\0" + file.read_bytes())
    return digest.hexdigest()


def path_hash(path: Path) -> str:
    """A hash of a file's content, or of all files below a folder with their names.

    Raises `DataError` if there is nothing, or it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(os.fsencode(file.relative_to(path)) + b"\0")
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
