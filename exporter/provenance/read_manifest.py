"""Read manifest.json.

Anybody may have written the file: everything in it is checked, and the paths in it stay below the manifest's folder.
"""

from pathlib import Path, PurePath
from typing import Any, Final

from mbexport.documents import MAX_BYTES, Form, read_document, read_json, refusal, require_form
from mbexport.errors import DataError
from mbexport.files import is_inside
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

MAX_MANIFEST_BYTES: Final = MAX_BYTES
_TITLE: Final = "a manifest of mbexport"
_FLAT: Final = 1  # the schema whose files all lay beside the manifest
_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _record(properties: dict[str, Any], **rules: Any) -> dict[str, Any]:
    """An object that has at least these properties."""
    return {"type": "object", "required": list(properties), "properties": properties} | rules


def _header_schema() -> dict[str, Any]:
    schema = {"type": "integer", "minimum": _FLAT}
    return _record({"schema": schema, "tool": _record({"name": {"const": NAME}})})


def _schema() -> dict[str, Any]:
    file = _record({SHA256: _HASH, "size_bytes": {"type": "integer", "minimum": 0}})
    file["properties"] |= {"repeats": {"type": "boolean"}}
    return _record(
        {
            "tool": _record({"version": _TEXT, "code": _TEXT, "libraries": _TEXTS, "environment": _TEXTS}),
            "command": _TEXT,
            "options": {"type": "object"},
            "inputs": {
                "type": "object",
                "additionalProperties": {
                    "if": {"required": [SHA256]},
                    "then": _record({"name": _TEXT, SHA256: _HASH}),
                    "else": _record({"name": _TEXT, FINGERPRINT: _HASH}),
                },
            },
            "files": {"type": "object", "additionalProperties": file},
        },
        **{"if": {"properties": {"schema": {"const": SCHEMA}}}, "then": _judged_schema()},
    )


def _judged_schema() -> dict[str, Any]:
    """What schema 2 holds beside the first."""
    commit = {"type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"}  # SHA-1, or SHA-256
    git = _record({"commit": commit, "dirty": {"type": "boolean"}}, type=["object", "null"])
    gates = {"type": "object", "additionalProperties": {"enum": list(Verdict)}}
    flag = {"type": "boolean"}
    verdict = _record({"passed": flag, "strict": flag, "gates": gates}, type=["object", "null"])
    return _record({"git": git, "verdict": verdict})


_HEADER: Final = Form(title=_TITLE, schema=_header_schema, holds_paths=True)
_FORM: Final = Form(title=_TITLE, schema=_schema, holds_paths=True)


def read_manifest(file: Path) -> Manifest:
    """The manifest in `file`. Raises `DataError` for one that is damaged, foreign, or of a later schema."""
    try:
        content = read_document(file)
    except DataError as error:
        raise DataError(f"the manifest {error}") from None
    return manifest_from_bytes(content, source=file)


def manifest_from_bytes(content: bytes, *, source: Path) -> Manifest:
    """The manifest that `source` holds. Raises `DataError` as `read_manifest` does."""
    fields = read_json(content, _HEADER, source=source)
    schema = fields["schema"]
    if schema > SCHEMA:
        raise DataError(f"{source} must be of schema {SCHEMA}, got {schema}: a later mbexport made it")
    require_form(fields, _FORM, source=source)
    unknown = sorted(set(fields["inputs"]) - set(fields["options"]))
    if unknown:
        raise refusal(_FORM, source, f"inputs must be options, got {unknown[0]}")
    for name in fields["files"]:
        if schema == _FLAT and PurePath(name).name != name:  # it is looked for beside the manifest, and nowhere else
            raise refusal(_FORM, source, f"files must be names without a folder, got {name}")
        if schema != _FLAT and not is_inside(name):
            raise refusal(_FORM, source, f"{INSIDE}, got {name!r}")
    return _manifest(fields)


def _manifest(fields: dict[str, Any]) -> Manifest:
    tool, git = fields["tool"], None if fields["schema"] == _FLAT else fields["git"]
    return Manifest(
        tool=Tool(
            versions={NAME: tool["version"], **tool["libraries"]}, code=tool["code"], environment=tool["environment"]
        ),
        recipe=Recipe(command=fields["command"], options=fields["options"], inputs=tuple(fields["inputs"])),
        inputs={name: _input(each) for name, each in fields["inputs"].items()},
        files={
            name: FileFacts(sha256=each[SHA256], size_bytes=each["size_bytes"], repeats=each.get("repeats", True))
            for name, each in fields["files"].items()
        },
        git=git and Git(commit=git["commit"], dirty=git["dirty"]),
        verdict=None if fields["schema"] == _FLAT else fields["verdict"],
    )


def _input(fields: dict[str, Any]) -> Input:
    is_file = SHA256 in fields
    return Input(name=fields["name"], is_file=is_file, digest=fields[SHA256 if is_file else FINGERPRINT])
