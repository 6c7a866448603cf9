"""Turns manifest.json back into what a run made of what.

Whoever sends a manifest decides what is in it: all is checked, and what is named lies below the manifest's folder.
"""

import json
import re
from collections import Counter
from pathlib import Path, PurePath
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.provenance.manifest import (
    FINGERPRINT,
    INSIDE,
    NAME,
    SCHEMA,
    SHA256,
    FileFacts,
    Git,
    Input,
    Manifest,
    Recipe,
    Tool,
    is_inside,
)
from mbexport.verify.judge import Verdict

_SAID_LETTERS: Final = 200
_FLAT: Final = 1  # the schema whose files all lay beside the manifest
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1, or SHA-256 where git was told to


def read_manifest(file: Path) -> Manifest:
    """The manifest in `file`. Raises `DataError` for one that is damaged, foreign, or of a later schema."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"the manifest {file} cannot be read: {error.strerror}") from None
    return manifest_from_bytes(content, source=file)


def manifest_from_bytes(content: bytes, *, source: Path) -> Manifest:
    """The manifest that `source` holds. Raises `DataError` as `read_manifest` does."""
    try:
        told = json.loads(content, object_pairs_hook=_each_once)
        schema = _known(told, "schema", int)
        if _known(_known(told, "tool", dict), "name", str) == NAME and schema > SCHEMA:
            raise DataError(f"{source} must be of schema {SCHEMA}, got {schema}: a later mbexport made it")
        return _manifest(told)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        said = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:_SAID_LETTERS])
        raise DataError(f"{source} is not a manifest of mbexport: {said}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):  # readers differ on which of two values counts
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"each name must be there once, got {name} again")
    return told


def _manifest(told: dict[str, Any]) -> Manifest:
    tool, options = _known(told, "tool", dict), _known(told, "options", dict)
    inputs = {name: _input(each) for name, each in _known(told, "inputs", dict).items()}
    unknown = sorted(set(inputs) - set(options))
    if unknown:
        raise ValueError(f"inputs must be options, got {unknown[0]}")
    schema = _known(told, "schema", int)
    if schema not in (_FLAT, SCHEMA) or _known(tool, "name", str) != NAME:
        raise ValueError(f"tool must be {NAME} with schema {_FLAT} or {SCHEMA}, got {tool['name']} with {schema}")
    versions = {NAME: _known(tool, "version", str), **_texts(tool, "libraries")}
    return Manifest(
        tool=Tool(versions=versions, code=_known(tool, "code", str), environment=_texts(tool, "environment")),
        recipe=Recipe(command=_known(told, "command", str), options=options, inputs=tuple(inputs)),
        inputs=inputs,
        files={_file_name(name, schema): _facts(each) for name, each in _known(told, "files", dict).items()},
        git=None if schema == _FLAT else _git(told),
        verdict=None if schema == _FLAT else _verdict(told),
    )


def _input(told: dict[str, Any]) -> Input:
    is_file = SHA256 in told
    return Input(
        name=_known(told, "name", str), is_file=is_file, digest=_digest(told, SHA256 if is_file else FINGERPRINT)
    )


def _facts(told: dict[str, Any]) -> FileFacts:
    size_bytes: int = _known(told, "size_bytes", int)
    if size_bytes < 0:
        raise ValueError(f"size_bytes must not be negative, got {size_bytes}")
    repeats = _known(told, "repeats", bool) if "repeats" in told else True
    return FileFacts(sha256=_digest(told, SHA256), size_bytes=size_bytes, repeats=repeats)


def _file_name(name: str, schema: int) -> str:
    if schema == _FLAT and PurePath(name).name != name:  # it is looked for beside the manifest, and nowhere else
        raise ValueError(f"files must be names without a folder, got {name}")
    if schema != _FLAT and not is_inside(name):
        raise ValueError(f"{INSIDE}, got {name!r}")
    return name


def _git(told: dict[str, Any]) -> Git | None:
    if "git" in told and told["git"] is None:
        return None
    git = _known(told, "git", dict)
    commit = _known(git, "commit", str)
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"commit must be 40 or 64 hexadecimal digits, got {commit}")
    return Git(commit=commit, dirty=_known(git, "dirty", bool))


def _verdict(told: dict[str, Any]) -> dict[str, Any] | None:
    if "verdict" in told and told["verdict"] is None:
        return None
    verdict: dict[str, Any] = _known(told, "verdict", dict)
    _known(verdict, "passed", bool)
    _known(verdict, "strict", bool)
    for gate, said in _texts(verdict, "gates").items():
        if said not in set(Verdict):
            raise ValueError(f"the gate {gate} must be one of {', '.join(Verdict)}, got {said}")
    return verdict


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
