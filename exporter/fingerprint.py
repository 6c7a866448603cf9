"""Identify the installed code, the installed libraries and the user's files by hashes, and what sums depend on.

A stage runs again when one of these changes. The hashes depend on contents and on relative names alone: a checkout,
whose folders are joined by links, and a wheel of the same sources have the same ones.
"""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import mbexport
from mbexport.errors import DataError
from mbexport.files import open_regular

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
# No stage depends on these: the command line, and what makes bundles, proof and reports of finished stages.
_BEHIND_STAGES: Final = frozenset({"bundles", "commands", "provenance", "report"})
_DELIVERING: Final = ("bundles", "provenance", "report")
_CACHE: Final = "__pycache__"
THREADS_VARIABLE: Final = "TF_NUM_INTRAOP_THREADS"  # read by TensorFlow when its first session starts
# Editors leave these beside sources: `x.py~`, `#x.py#`, `.x.py.swp`, and `.#x.py`, a link of Emacs that leads nowhere.
_EDITORS: Final = ("~", "#")


@cache
def library_versions() -> dict[str, str]:
    """The version of each library that touches an artifact, without importing it."""
    return {name: _version(name) for name in LIBRARIES}


def tensorflow_threads() -> int:
    """How many threads TensorFlow shares an operation among: they decide in which order it adds numbers up.

    As many as `THREADS_VARIABLE` says if that is a positive number, else one for each core that this process may use
    (`DefaultNumIntraOpThreads` in tensorflow/core/common_runtime/process_util.cc).
    """
    said = os.environ.get(THREADS_VARIABLE, "")
    if said.isascii() and said.isdigit() and int(said) > 0:
        return int(said)
    return usable_cores()


def usable_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def code_fingerprint() -> str:
    """A hash of those of our modules that decide what stages make."""
    return _code_hash(_root())


@cache
def tool_fingerprint() -> str:
    """A hash of all that decides what is delivered: our modules, and the templates and sources that bundles copy."""
    return _tool_hash(_root())


def _root() -> Path:
    return Path(mbexport.__file__).parent


def _code_hash(root: Path) -> str:
    digest = hashlib.sha256(mbexport.__version__.encode())
    for file in _files(root, without=_BEHIND_STAGES):
        if file.suffix == ".py":
            digest.update(_entry(file, root))
    return digest.hexdigest()


def _tool_hash(root: Path) -> str:
    digest = hashlib.sha256(_code_hash(root).encode())
    for name in _DELIVERING:
        for file in _files(root / name):
            digest.update(_entry(file, root))
    return digest.hexdigest()


def _files(folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file that belongs to the package below `folder`, in order; links are followed, for a checkout has some."""
    for base, folders, names in os.walk(folder, followlinks=True):
        left_out = {_CACHE, *(without if Path(base) == folder else ())}
        folders[:] = sorted(name for name in folders if name not in left_out)
        yield from (Path(base) / name for name in sorted(names) if _is_ours(name))


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(_EDITORS)


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
            with open_regular(file, follow_links=True) as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
