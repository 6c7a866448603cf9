"""Turns what the documents of an output folder say of its files into where they disagree with the manifest.

Somebody who exchanges a file and its line in the manifest has these to exchange, too.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mbexport.golden.vectors import FOLDER, INDEX
from mbexport.provenance.manifest import SHA256, FileFacts, Manifest
from mbexport.provenance.sbom import SBOM, is_component
from mbexport.provenance.statement import STATEMENT
from mbexport.provenance.tree import Finding, Status, opened
from mbexport.report.content import REPORT

GOLDEN: Final = f"{FOLDER}/{INDEX}"
_MAX_DOCUMENT_BYTES: Final = 1 << 26
_VERDICT: Final = ("passed", "strict")
_NOT_AS_MEANT: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
_Claims = list[tuple[str, str]]


def documents_apart(root: Path, manifest: Manifest, sound: Collection[str]) -> Iterator[Finding]:
    """What the documents among the `sound` files (those that are as listed) say otherwise than the manifest."""
    for document, claims_of in _CLAIMS.items():
        if document not in sound:
            continue
        try:
            told = _read(root / document)
            claims = [(str(name), str(sha256)) for name, sha256 in claims_of(told)]
            said = {name: told[name] for name in _VERDICT} if document == REPORT else None
        except (OSError, *_NOT_AS_MEANT) as error:
            yield Finding(status=Status.UNREADABLE, name=document, got=f"{type(error).__name__}: {error}")
            continue
        yield from _files_apart(document, claims, manifest.files)
        if said is not None:
            yield from _verdict_apart(said, manifest)


def _read(file: Path) -> Any:
    with opened(file) as content:
        text = content.read(_MAX_DOCUMENT_BYTES + 1)
    if len(text) > _MAX_DOCUMENT_BYTES:
        raise ValueError(f"more than {_MAX_DOCUMENT_BYTES >> 20} MiB")
    return json.loads(text)


def _artifacts(told: Any) -> _Claims:
    return [(each["file"], each["sha256"]) for each in told["artifacts"]]


def _components(told: Any) -> _Claims:
    files = (each for each in told["components"] if each["type"] == "file")
    return [(each["name"], value["content"]) for each in files for value in each["hashes"] if value["alg"] == "SHA-256"]


def _subjects(told: Any) -> _Claims:
    made = (*told["subject"], *told["predicate"]["runDetails"]["byproducts"])
    return [(each["name"], each["digest"][SHA256]) for each in made]


# What each document says of the sha256 of files.
_CLAIMS: Final[Mapping[str, Callable[[Any], _Claims]]] = MappingProxyType(
    {GOLDEN: _artifacts, REPORT: _artifacts, SBOM: _components, STATEMENT: _subjects}
)


def _files_apart(document: str, claims: _Claims, listed: Mapping[str, FileFacts]) -> Iterator[Finding]:
    for name, sha256 in claims:
        facts = listed.get(name)
        if facts is None or facts.sha256 != sha256:
            got = f"{name} with sha256 {sha256}"
            expected = f"sha256 {facts.sha256}" if facts else "a file that is listed"
            yield Finding(status=Status.DISAGREES, name=document, got=got, expected=expected)
    told = {name for name, _ in claims}
    for name, facts in sorted(listed.items()):
        if facts.repeats and name not in told and _must_tell(document, name):
            yield Finding(
                status=Status.DISAGREES, name=document, got=f"nothing of {name}", expected="all that was made"
            )


def _must_tell(document: str, name: str) -> bool:
    """The statement is about all files that repeat, the bill of materials about those that bundles are made of."""
    return document == STATEMENT or (document == SBOM and is_component(name))


def _verdict_apart(said: Mapping[str, Any], manifest: Manifest) -> Iterator[Finding]:
    listed = {name: manifest.verdict[name] for name in _VERDICT} if manifest.verdict is not None else None
    if said != listed:
        yield Finding(status=Status.DISAGREES, name=REPORT, got=f"the verdict {said}", expected=str(listed))
