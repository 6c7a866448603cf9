"""manifest.json as values: the files of a run, byte for byte, and the options, inputs and tools that made them.

The file holds no times and no absolute paths. The same options, data and code give the same manifest, except for the
hashes of files that tell when and where a run took place.
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
from mbexport.files import is_inside, sha256_of
from mbexport.fingerprint import library_versions, path_hash, tensorflow_threads, tool_fingerprint
from mbexport.models.data.prefixes import split_prefix
from mbexport.provenance.git import Git

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = f"{MANIFEST}.sig"
CORES: Final = "cores"
SCHEMA: Final = 2
NAME: Final = "mbexport"
SHA256: Final = "sha256"  # of a file's bytes
FINGERPRINT: Final = "fingerprint"  # of a data set, or of a folder and the names in it
INSIDE: Final = "files must have relative paths without '..', '\\' and control characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The command of a run, and each option that can change bytes, by its name on the command line.

    `inputs` are the names of the options whose value names a file or a folder that was read; values are those of JSON.
    """

    command: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The file or data set that an option named: `digest` is the sha256 of a file, else a fingerprint of all in it."""

    name: str
    is_file: bool
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file that a run made; `repeats` if the same options, inputs and code give the same bytes again."""

    sha256: str
    size_bytes: int
    repeats: bool = True

    @classmethod
    def of(cls, content: bytes, *, repeats: bool = True) -> "FileFacts":
        """The facts of a file with that content."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), repeats=repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The tools that made the files: versions by name, `mbexport` among them, a hash of its code, and where it ran.

    `environment` has the number of TensorFlow's threads as `cores`: it decides in which order numbers are added up.
    """

    versions: Mapping[str, str]
    code: str
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> "Tool":
        """The tools that are installed here."""
        environment = {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            CORES: str(tensorflow_threads()),
        }
        versions = {NAME: __version__, **library_versions()}
        return cls(versions=versions, code=tool_fingerprint(), environment=environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of manifest.json: `inputs` by option, `files` by their POSIX paths from the manifest's folder.

    `verdict` holds `passed`, `strict` and the verdict of each gate by its name; None where nothing was judged.
    """

    tool: Tool
    recipe: Recipe
    inputs: Mapping[str, Input]
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    git: Git | None = None
    verdict: Mapping[str, Any] | None = None

    def recorded_options(self) -> dict[str, Any]:
        """The recipe's options, without the folders of this machine in the names of inputs."""
        return {
            name: recorded_name(value) if name in self.inputs else value for name, value in self.recipe.options.items()
        }

    def to_bytes(self) -> bytes:
        """The bytes of manifest.json. Raises `DataError` for a file whose path it cannot hold."""
        outside = next((name for name in self.files if not is_inside(name)), None)
        if outside is not None:
            raise DataError(f"{INSIDE}, got {outside!r}")
        libraries = {name: version for name, version in self.tool.versions.items() if name != NAME}
        content = {
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
            "files": {name: _facts_json(facts) for name, facts in sorted(self.files.items())},
        }
        return (json.dumps(content, indent=2) + "\n").encode()


def _facts_json(facts: FileFacts) -> dict[str, Any]:
    content: dict[str, Any] = {SHA256: facts.sha256, "size_bytes": facts.size_bytes}
    return content if facts.repeats else {**content, "repeats": False}


def recorded_name(value: str) -> str:
    """The name of an input in the manifest: the given path if it is relative, else its last component alone."""
    prefix, place = split_prefix(value)
    path = PurePath(os.path.normpath(place))
    return f"{prefix}{path.name}" if path.is_absolute() else value


def input_at(value: str, path: Path) -> Input:
    """The input at `path`, which an option named as `value`. Raises `DataError` if it cannot be read."""
    is_file = not path.is_dir()
    try:
        digest = sha256_of(path) if is_file else path_hash(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return Input(name=recorded_name(value), is_file=is_file, digest=digest)
