"""Turns the installed code and libraries into a short text: what else than options decides a stage's result."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import mbexport
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
# What no stage stands on: the command line, and what makes bundles, proof and reports of finished stages.
_BEHIND_STAGES: Final = frozenset({"bundles", "commands", "provenance", "report"})
_DELIVERING: Final = ("bundles", "provenance", "report")
_CACHE: Final = "__pycache__"


@cache
def library_versions() -> dict[str, str]:
    """The version of each library that touches an artifact, without importing it."""
    return {name: _version(name) for name in LIBRARIES}


@cache
def code_fingerprint() -> str:
    """A hash of those of our modules that decide what stages make."""
    digest = hashlib.sha256(mbexport.__version__.encode())
    for file in _files(_root(), without=_BEHIND_STAGES):
        if file.suffix == ".py":
            digest.update(_entry(file, _root()))
    return digest.hexdigest()


@cache
def tool_fingerprint() -> str:
    """A hash of all that decides what is delivered: our modules, and the templates and sources that bundles copy."""
    digest = hashlib.sha256(code_fingerprint().encode())
    for name in _DELIVERING:
        for file in _files(_root() / name):
            digest.update(_entry(file, _root()))
    return digest.hexdigest()


def _root() -> Path:
    return Path(mbexport.__file__).parent


def _files(folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file below `folder`, in order; through links, which hold a checkout's package together."""
    for base, folders, names in os.walk(folder, followlinks=True):
        is_top = Path(base) == folder
        folders[:] = sorted(name for name in folders if name != _CACHE and not (is_top and name in without))
        yield from (Path(base) / name for name in sorted(names))


def _entry(file: Path, root: Path) -> bytes:
    return os.fsencode(file.relative_to(root)) + b"\0" + file.read_bytes()


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
