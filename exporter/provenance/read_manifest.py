"""Read manifest.json.

Anybody may have written the file: everything in it is checked, and the paths in it stay below the manifest's folder.
"""

import json
import re
from collections import Counter
from pathlib import Path, PurePath
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.files import is_inside, read_regular
from mbexport.provenance.git import Git
from mbexport.provenance.manifest import (
    FINGERPRINT,
    INSIDE,
    NAME,
    SCHEMA,
    SHA256,
    FileFacts,
    Input,
    Manifest,
    Recipe,
    Tool,
)
from mbexport.verification.judge import Verdict

MAX_MANIFEST_BYTES: Final = 1 << 26
_SHOWN_LETTERS: Final = 200
_FLAT: Final = 1  # the schema whose files all lay beside the manifest
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # SHA-1, or SHA-256 in repositories that use it


def read_manifest(file: Path) -> Manifest:
    """The manifest in `file`. Raises `DataError` for one that is damaged, foreign, or of a later schema."""
    try:
        content = read_regular(file, limit_bytes=MAX_MANIFEST_BYTES)
    except OSError as error:
        raise DataError(f"the manifest {file} cannot be read: {error.strerror}") from None
    return manifest_from_bytes(content, source=file)


def manifest_from_bytes(content: bytes, *, source: Path) -> Manifest:
    """The manifest that `source` holds. Raises `DataError` as `read_manifest` does."""
    try:
        fields = json.loads(content, object_pairs_hook=_each_once)
        schema = _value(fields, "schema", int)
        if _value(_value(fields, "tool", dict), "name", str) == NAME and schema > SCHEMA:
            raise DataError(f"{source} must be of schema {SCHEMA}, got {schema}: a later mbexport made it")
        return _manifest(fields)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = "".join(letter if letter.isprintable() else "?" for letter in str(error)[:_SHOWN_LETTERS])
        raise DataError(f"{source} is not a manifest of mbexport: {reason}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):  # readers differ on which of two values counts
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"each name must be there once, got {name} again")
    return fields


def _manifest(fields: dict[str, Any]) -> Manifest:
    tool, options = _value(fields, "tool", dict), _value(fields, "options", dict)
    inputs = {name: _input(each) for name, each in _value(fields, "inputs", dict).items()}
    unknown = sorted(set(inputs) - set(options))
    if unknown:
        raise ValueError(f"inputs must be options, got {unknown[0]}")
    schema = _value(fields, "schema", int)
    if schema not in (_FLAT, SCHEMA) or _value(tool, "name", str) != NAME:
        raise ValueError(f"tool must be {NAME} with schema {_FLAT} or {SCHEMA}, got {tool['name']} with {schema}")
    versions = {NAME: _value(tool, "version", str), **_texts(tool, "libraries")}
    return Manifest(
        tool=Tool(versions=versions, code=_value(tool, "code", str), environment=_texts(tool, "environment")),
        recipe=Recipe(command=_value(fields, "command", str), options=options, inputs=tuple(inputs)),
        inputs=inputs,
        files={_file_name(name, schema): _facts(each) for name, each in _value(fields, "files", dict).items()},
        git=None if schema == _FLAT else _git(fields),
        verdict=None if schema == _FLAT else _verdict(fields),
    )


def _input(fields: dict[str, Any]) -> Input:
    is_file = SHA256 in fields
    return Input(
        name=_value(fields, "name", str), is_file=is_file, digest=_digest(fields, SHA256 if is_file else FINGERPRINT)
    )


def _facts(fields: dict[str, Any]) -> FileFacts:
    size_bytes: int = _value(fields, "size_bytes", int)
    if size_bytes < 0:
        raise ValueError(f"size_bytes must not be negative, got {size_bytes}")
    repeats = _value(fields, "repeats", bool) if "repeats" in fields else True
    return FileFacts(sha256=_digest(fields, SHA256), size_bytes=size_bytes, repeats=repeats)


def _file_name(name: str, schema: int) -> str:
    if schema == _FLAT and PurePath(name).name != name:  # it is looked for beside the manifest, and nowhere else
        raise ValueError(f"files must be names without a folder, got {name}")
    if schema != _FLAT and not is_inside(name):
        raise ValueError(f"{INSIDE}, got {name!r}")
    return name


def _git(fields: dict[str, Any]) -> Git | None:
    if "git" in fields and fields["git"] is None:
        return None
    git = _value(fields, "git", dict)
    commit = _value(git, "commit", str)
    if not _COMMIT.fullmatch(commit):
        raise ValueError(f"commit must be 40 or 64 hexadecimal digits, got {commit}")
    return Git(commit=commit, dirty=_value(git, "dirty", bool))


def _verdict(fields: dict[str, Any]) -> dict[str, Any] | None:
    if "verdict" in fields and fields["verdict"] is None:
        return None
    verdict: dict[str, Any] = _value(fields, "verdict", dict)
    _value(verdict, "passed", bool)
    _value(verdict, "strict", bool)
    for gate, value in _texts(verdict, "gates").items():
        if value not in set(Verdict):
            raise ValueError(f"the gate {gate} must be one of {', '.join(Verdict)}, got {value}")
    return verdict


def _digest(fields: dict[str, Any], name: str) -> str:
    value: str = _value(fields, name, str)
    if not _HASH.fullmatch(value):
        raise ValueError(f"{name} must be 64 hexadecimal digits, got {value}")
    return value


def _texts(fields: dict[str, Any], name: str) -> dict[str, str]:
    """The object `name` in `fields`, whose values must all be texts."""
    texts = _value(fields, name, dict)
    return {each: _value(texts, each, str) for each in texts}


def _value(fields: Any, name: str, kind: type) -> Any:
    """The value `name` of `fields`, which must be an object; the value must be a `kind`."""
    if not isinstance(fields, dict):
        raise TypeError(f"it must hold objects, got {type(fields).__name__}")
    if name not in fields:
        raise ValueError(f"{name!r} is missing")
    if type(fields[name]) is not kind:
        raise TypeError(f"{name} must be {kind.__name__}, got {type(fields[name]).__name__}")
    return fields[name]
