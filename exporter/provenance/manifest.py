"""Turns a finished run into manifest.json, which says what was made of what, byte for byte.

The file holds no times and no absolute paths: the same options, data and code give the same bytes, but for the files
of the run itself, which say when and where it ran.
"""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from mbexport import __version__
from mbexport.errors import DataError
from mbexport.fingerprint import library_versions, path_hash, tool_fingerprint
from mbexport.workdir import sha256_of

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = f"{MANIFEST}.sig"
CORES: Final = "cores"
CORES_VARIABLE: Final = "TF_NUM_INTRAOP_THREADS"  # read by TensorFlow when its first session starts
SCHEMA: Final = 2
NAME: Final = "mbexport"
SHA256: Final = "sha256"  # of a file's bytes
FINGERPRINT: Final = "fingerprint"  # of a data set, or of a folder and the names in it
INSIDE: Final = "files must have relative paths without '..', '\\' and control characters"
_NO_NAMES: Final = ("", ".", "..")
_SPACE, _DELETE = 0x20, 0x7F  # letters before the one, and the other, control terminals


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
    """A file that was made; `repeats` if the same options, inputs and code give the same bytes again."""

    sha256: str
    size_bytes: int
    repeats: bool = True

    @classmethod
    def of(cls, content: bytes, *, repeats: bool = True) -> "FileFacts":
        """What identifies `content`."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), repeats=repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The repository around the folder in which a run was started: `dirty` if it held what was not committed."""

    commit: str
    dirty: bool


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
        versions = {NAME: __version__, **library_versions()}
        return cls(versions=versions, code=tool_fingerprint(), environment=environment)


def _cores() -> int | None:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was made of what: `inputs` by option, `files` by their paths from the manifest's folder, as POSIX has them.

    `verdict` holds `passed`, `strict` and the verdict of each gate by its name; None where nothing was judged.
    """

    tool: Tool
    recipe: Recipe
    inputs: Mapping[str, Input]
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    git: Git | None = None
    verdict: Mapping[str, Any] | None = None

    def recorded_options(self) -> dict[str, Any]:
        """The recipe's options, of which none names a folder of this machine."""
        return {
            name: recorded_name(value) if name in self.inputs else value for name, value in self.recipe.options.items()
        }

    def to_bytes(self) -> bytes:
        """The content of manifest.json. Raises `DataError` for a file that it could not name."""
        outside = next((name for name in self.files if not is_inside(name)), None)
        if outside is not None:
            raise DataError(f"{INSIDE}, got {outside!r}")
        libraries = {name: version for name, version in self.tool.versions.items() if name != NAME}
        told = {
            "schema": SCHEMA,
            "tool": {
                "name": NAME,
                "version": self.tool.versions[NAME],
                "code": self.tool.code,
                "libraries": libraries,
                "environment": dict(self.tool.environment),
            },
            "command": self.recipe.command,
            "options": self.recorded_options(),
            "inputs": {
                name: {"name": each.name, SHA256 if each.is_file else FINGERPRINT: each.digest}
                for name, each in self.inputs.items()
            },
            "git": asdict(self.git) if self.git else None,
            "verdict": dict(self.verdict) if self.verdict is not None else None,
            "files": {name: _told(facts) for name, facts in sorted(self.files.items())},
        }
        return (json.dumps(told, indent=2) + "\n").encode()


def _told(facts: FileFacts) -> dict[str, Any]:
    told: dict[str, Any] = {SHA256: facts.sha256, "size_bytes": facts.size_bytes}
    return told if facts.repeats else {**told, "repeats": False}


def is_inside(name: str) -> bool:
    """Whether `name` is a path from a folder to a file in it, and reads the same on every system."""
    is_plain = not any(letter == "\\" or ord(letter) < _SPACE or ord(letter) == _DELETE for letter in name)
    return is_plain and not any(part in _NO_NAMES for part in name.split("/"))


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
