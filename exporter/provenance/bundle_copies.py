"""Check the copies of artifacts in bundles and zips, and the checksums beside them, against the manifest."""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from mbexport.files import open_regular
from mbexport.formats.npu.chips import is_compiled
from mbexport.provenance.manifest import FileFacts
from mbexport.provenance.tree import Finding, Status, bounded_hash

_MODEL: Final = ".tflite"
_LIBRARY: Final = ".aar"
_ALGORITHMS: Final = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}  # by the file's ending
_MAX_CHECKSUM_BYTES: Final = 1 << 10
_BAD_ZIP: Final = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, struct.error, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),  # of another compression, encrypted, with damaged names
)


def check_copies(root: Path, listed: Mapping[str, FileFacts], sound: Collection[str]) -> Iterator[Finding]:
    """Findings on the bundles, zips and checksums among the `sound` files that do not hold what is `listed`."""
    models = {facts.sha256: facts.size_bytes for name, facts in listed.items() if _is_artifact(name)}
    for name in sorted(sound):
        try:
            if "/" in name and _is_model(name) and listed[name].sha256 not in models:
                yield _other_model(name, listed[name].sha256)
            elif name.endswith(_LIBRARY):
                yield from _check_library(root / name, name, models)
            elif name.endswith(".zip") and "/" not in name:
                yield from _check_zip(root / name, name, listed)
            elif name.rpartition(".")[2] in _ALGORITHMS:
                yield from _check_checksum(root, name, listed, sound)
        except _BAD_ZIP as error:
            yield Finding(status=Status.UNREADABLE, name=name, got=f"{type(error).__name__}: {error}")


def _is_model(name: str) -> bool:
    return name.endswith(_MODEL)


def _is_artifact(name: str) -> bool:
    """Whether it is what copies are of: made for any processor, or compiled for one chip."""
    return _is_model(name) and ("/" not in name or is_compiled(name))


def _other_model(name: str, sha256: str | None) -> Finding:
    got = f"a model with sha256 {sha256}" if sha256 else "a larger model"
    return Finding(status=Status.DISAGREES, name=name, got=got, expected="one of the artifacts")


def _check_library(file: Path, name: str, models: Mapping[str, int]) -> Iterator[Finding]:
    """A finding unless an app's library holds one model, and that is an artifact."""
    with open_regular(file) as content, zipfile.ZipFile(content) as archive:
        entries = [each for each in archive.infolist() if _is_model(each.filename)]
        if len(entries) != 1:
            yield Finding(status=Status.DISAGREES, name=name, got=f"{len(entries)} models", expected="one")
            return
        with archive.open(entries[0]) as model:
            sha256 = bounded_hash(model, size_bytes=max(models.values(), default=0))
    if sha256 not in models:
        yield _other_model(f"{name}!{entries[0].filename}", sha256)


def _check_zip(file: Path, name: str, listed: Mapping[str, FileFacts]) -> Iterator[Finding]:
    """Findings unless `<stem>-<folder>.zip` holds just the folder's files; names in it may begin with the folder."""
    folder = name.removesuffix(".zip").rpartition("-")[2]
    expected = {each: facts for each, facts in listed.items() if each.startswith(f"{folder}/")}
    with open_regular(file) as content, zipfile.ZipFile(content) as archive:
        entries = [each for each in archive.infolist() if not each.filename.endswith("/")]
        start = "" if all(each.filename.startswith(f"{folder}/") for each in entries) else f"{folder}/"
        names = [f"{start}{each.filename}" for each in entries]
        counts = Counter(names)
        yield from _check_names(name, counts, expected)
        for inner, entry in zip(names, entries, strict=True):
            if inner not in expected or counts[inner] > 1:
                continue
            with archive.open(entry) as copy:
                sha256 = bounded_hash(copy, size_bytes=expected[inner].size_bytes)
            if sha256 != expected[inner].sha256:
                got = f"{inner} with sha256 {sha256}" if sha256 else f"a larger {inner}"
                wanted = f"sha256 {expected[inner].sha256}"
                yield Finding(status=Status.DISAGREES, name=name, got=got, expected=wanted)


def _check_names(name: str, held: Mapping[str, int], expected: Collection[str]) -> Iterator[Finding]:
    for inner in sorted({*held, *expected}):
        count, wanted = held.get(inner, 0), int(inner in expected)
        if count != wanted:
            got = f"{inner} {count} times"
            yield Finding(status=Status.DISAGREES, name=name, got=got, expected=f"{wanted} times")


def _check_checksum(
    root: Path, name: str, listed: Mapping[str, FileFacts], sound: Collection[str]
) -> Iterator[Finding]:
    """A finding if a checksum file, which Maven puts beside the file that it is of, is not right."""
    stem, _, suffix = name.rpartition(".")
    if stem not in listed:
        yield Finding(status=Status.DISAGREES, name=name, got="a checksum of nothing", expected=f"{stem} to be listed")
    if stem not in sound:  # if it is listed, there is a finding on it already
        return
    with open_regular(root / name) as content:
        stated = content.read(_MAX_CHECKSUM_BYTES).decode("ascii", "replace").strip()
    with open_regular(root / stem) as content:
        actual = bounded_hash(content, size_bytes=listed[stem].size_bytes, algorithm=_ALGORITHMS[suffix])
    if stated.split()[:1] != [actual]:
        yield Finding(status=Status.DISAGREES, name=name, got=stated, expected=f"{actual} of {stem}")
