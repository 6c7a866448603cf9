"""Turns a finished run into manifest.json, which says what was made of what, byte for byte, and back.

The file holds no times and no absolute paths: the same options, data and code give the same bytes.
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from mbexport import __version__
from mbexport.errors import DataError
from mbexport.fingerprint import code_fingerprint, library_versions, path_hash
from mbexport.workdir import sha256_of

MANIFEST: Final = "manifest.json"
CORES: Final = "cores"
CORES_VARIABLE: Final = "TF_NUM_INTRAOP_THREADS"  # read by TensorFlow when its first session starts
SCHEMA: Final = 1
_NAME: Final = "mbexport"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_SHA256: Final = "sha256"  # of a file's bytes
_FINGERPRINT: Final = "fingerprint"  # of a data set, or of a folder and the names in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a run was asked for: the command, and each option that can change bytes, by its name on the command line.

    `inputs` are the names of those options whose value names what was read; values are what JSON can say.
    """

    command: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What an option named: `digest` is its sha256 if it is one file, else a fingerprint of all it holds."""

    name: str
    is_file: bool
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file that was made."""

    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, content: bytes) -> "FileFacts":
        """What identifies `content`."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """What made the files: versions by name, `mbexport` among them, a hash of our own code, and where it ran.

    The number of cores is part of that: it decides in which order TensorFlow adds numbers up. One that TensorFlow was
    told in its place counts.
    """

    versions: Mapping[str, str]
    code: str
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> "Tool":
        """What would make them now."""
        environment = {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            CORES: os.environ.get(CORES_VARIABLE) or str(_cores()),
        }
        versions = {_NAME: __version__, **library_versions()}
        return cls(versions=versions, code=code_fingerprint(), environment=environment)


def _cores() -> int | None:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was made of what: `inputs` by option, `files` by name."""

    tool: Tool
    recipe: Recipe
    inputs: Mapping[str, Input]
    files: Mapping[str, FileFacts] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The content of manifest.json."""
        libraries = {name: version for name, version in self.tool.versions.items() if name != _NAME}
        options = {
            name: recorded_name(value) if name in self.inputs else value for name, value in self.recipe.options.items()
        }
        told = {
            "schema": SCHEMA,
            "tool": {
                "name": _NAME,
                "version": self.tool.versions[_NAME],
                "code": self.tool.code,
                "libraries": libraries,
                "environment": dict(self.tool.environment),
            },
            "command": self.recipe.command,
            "options": options,
            "inputs": {
                name: {"name": each.name, _SHA256 if each.is_file else _FINGERPRINT: each.digest}
                for name, each in self.inputs.items()
            },
            "files": {
                name: {"sha256": facts.sha256, "size_bytes": facts.size_bytes}
                for name, facts in sorted(self.files.items())
            },
        }
        return (json.dumps(told, indent=2) + "\n").encode()


def recorded_name(value: str) -> str:
    """How an input is written down: as it was given if that is relative, else by its last component alone."""
    path = PurePath(os.path.normpath(value))
    return path.name if path.is_absolute() else value


def input_at(value: str, path: Path) -> Input:
    """The file or folder at `path`, which an option named as `value`. Raises `DataError` if it cannot be read."""
    is_file = path.is_file()
    try:
        digest = sha256_of(path) if is_file else path_hash(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return Input(name=recorded_name(value), is_file=is_file, digest=digest)


def read_manifest(file: Path) -> Manifest:
    """The manifest in `file`. Raises `DataError` for one that is damaged, foreign, or of a later schema."""
    try:
        told = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"the manifest {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not a manifest of mbexport: {error}") from None
    try:
        schema = _known(told, "schema", int)
        if _known(_known(told, "tool", dict), "name", str) == _NAME and schema > SCHEMA:
            raise DataError(f"{file} must be of schema {SCHEMA}, got {schema}: a later mbexport made it")
        return _manifest(told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is not a manifest of mbexport: {error}") from None


def _manifest(told: dict[str, Any]) -> Manifest:
    tool, options = _known(told, "tool", dict), _known(told, "options", dict)
    inputs = {name: _input(each) for name, each in _known(told, "inputs", dict).items()}
    unknown = sorted(set(inputs) - set(options))
    if unknown:
        raise ValueError(f"inputs must be options, got {unknown[0]}")
    if (_known(told, "schema", int), _known(tool, "name", str)) != (SCHEMA, _NAME):
        raise ValueError(f"tool must be {_NAME} with schema {SCHEMA}, got {tool['name']} with {told['schema']}")
    versions = {_NAME: _known(tool, "version", str), **_texts(tool, "libraries")}
    return Manifest(
        tool=Tool(versions=versions, code=_known(tool, "code", str), environment=_texts(tool, "environment")),
        recipe=Recipe(command=_known(told, "command", str), options=options, inputs=tuple(inputs)),
        inputs=inputs,
        files={_file_name(name): _facts(each) for name, each in _known(told, "files", dict).items()},
    )


def _input(told: dict[str, Any]) -> Input:
    is_file = _SHA256 in told
    return Input(
        name=_known(told, "name", str), is_file=is_file, digest=_digest(told, _SHA256 if is_file else _FINGERPRINT)
    )


def _facts(told: dict[str, Any]) -> FileFacts:
    return FileFacts(sha256=_digest(told, _SHA256), size_bytes=_known(told, "size_bytes", int))


def _file_name(name: str) -> str:
    if PurePath(name).name != name:  # it is looked for beside the manifest, and nowhere else
        raise ValueError(f"files must be names without a folder, got {name}")
    return name


def _digest(told: dict[str, Any], name: str) -> str:
    value: str = _known(told, name, str)
    if not _HASH.fullmatch(value):
        raise ValueError(f"{name} must be 64 hexadecimal digits, got {value}")
    return value


def _texts(told: dict[str, Any], name: str) -> dict[str, str]:
    """What `told` says of `name`, which must hold texts alone."""
    texts = _known(told, name, dict)
    return {each: _known(texts, each, str) for each in texts}


def _known(told: Any, name: str, kind: type) -> Any:
    """What `told`, an object, says of `name`, which must be a `kind`."""
    if not isinstance(told, dict):
        raise TypeError(f"it must hold objects, got {type(told).__name__}")
    if name not in told:
        raise KeyError(name)
    if type(told[name]) is not kind:
        raise TypeError(f"{name} must be {kind.__name__}, got {type(told[name]).__name__}")
    return told[name]
