"""Check what the documents of an output folder say of its files against the manifest.

Whoever exchanges a file and its line in the manifest has to exchange these documents, too.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from mbexport.documents import parse_json
from mbexport.files import open_regular
from mbexport.golden.vectors import FOLDER, INDEX
from mbexport.provenance.manifest import SHA256, FileFacts, Manifest
from mbexport.provenance.sbom import SBOM, is_component
from mbexport.provenance.statement import STATEMENT
from mbexport.provenance.tree import Finding, Status
from mbexport.report.content import REPORT

GOLDEN: Final = f"{FOLDER}/{INDEX}"
_MAX_DOCUMENT_BYTES: Final = 1 << 26
_VERDICT: Final = ("passed", "strict")
_MALFORMED: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
_Claims = list[tuple[str, str]]


def check_documents(root: Path, manifest: Manifest, sound: Collection[str]) -> Iterator[Finding]:
    """Findings on documents that contradict the manifest; only `sound` files, which are as listed, are read."""
    for document, claims_of in _CLAIMS.items():
        if document not in sound:
            continue
        try:
            content = _read(root / document)
            claims = [(str(name), str(sha256)) for name, sha256 in claims_of(content)]
            verdict = {name: content[name] for name in _VERDICT} if document == REPORT else None
        except (OSError, *_MALFORMED) as error:
            yield Finding(status=Status.UNREADABLE, name=document, got=f"{type(error).__name__}: {error}")
            continue
        yield from _check_claims(document, claims, manifest.files)
        if verdict is not None:
            yield from _check_verdict(verdict, manifest)


def _read(file: Path) -> Any:
    with open_regular(file) as content:
        text = content.read(_MAX_DOCUMENT_BYTES + 1)
    if len(text) > _MAX_DOCUMENT_BYTES:
        raise ValueError(f"more than {_MAX_DOCUMENT_BYTES >> 20} MiB")
    return parse_json(text)


def _artifacts(content: Any) -> _Claims:
    return [(each["file"], each["sha256"]) for each in content["artifacts"]]


def _components(content: Any) -> _Claims:
    files = (each for each in content["components"] if each["type"] == "file")
    return [(each["name"], value["content"]) for each in files for value in each["hashes"] if value["alg"] == "SHA-256"]


def _subjects(content: Any) -> _Claims:
    made = (*content["subject"], *content["predicate"]["runDetails"]["byproducts"])
    return [(each["name"], each["digest"][SHA256]) for each in made]


# For each document, the function that takes the names and sha256 of files from its content.
_CLAIMS: Final[Mapping[str, Callable[[Any], _Claims]]] = MappingProxyType(
    {GOLDEN: _artifacts, REPORT: _artifacts, SBOM: _components, STATEMENT: _subjects}
)


def _check_claims(document: str, claims: _Claims, listed: Mapping[str, FileFacts]) -> Iterator[Finding]:
    for name, sha256 in claims:
        facts = listed.get(name)
        if facts is None or facts.sha256 != sha256:
            got = f"{name} with sha256 {sha256}"
            expected = f"sha256 {facts.sha256}" if facts else "a file that is listed"
            yield Finding(status=Status.DISAGREES, name=document, got=got, expected=expected)
    named = {name for name, _ in claims}
    for name, facts in sorted(listed.items()):
        if facts.repeats and name not in named and _must_name(document, name):
            yield Finding(
                status=Status.DISAGREES, name=document, got=f"nothing of {name}", expected="all that was made"
            )


def _must_name(document: str, name: str) -> bool:
    """The statement names all files that repeat, the bill of materials those outside bundles."""
    return document == STATEMENT or (document == SBOM and is_component(name))


def _check_verdict(stated: Mapping[str, Any], manifest: Manifest) -> Iterator[Finding]:
    listed = {name: manifest.verdict[name] for name in _VERDICT} if manifest.verdict is not None else None
    if stated != listed:
        yield Finding(status=Status.DISAGREES, name=REPORT, got=f"the verdict {stated}", expected=str(listed))
