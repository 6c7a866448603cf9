"""Check an output folder against its manifest, and the manifest against its signature.

Nothing in the folder is trusted before it is checked, the manifest least: it is read once, its signature is checked on
the bytes that were read, and the names in it are looked up among the regular files that the folder holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import open_regular
from mbexport.provenance.bundle_copies import check_copies
from mbexport.provenance.claims import check_documents
from mbexport.provenance.manifest import MANIFEST, SIGNATURE, Manifest
from mbexport.provenance.read_manifest import MAX_MANIFEST_BYTES, manifest_from_bytes
from mbexport.provenance.signing import PublicKey, verify
from mbexport.provenance.tree import Finding, Status, bounded_hash, check_sizes, regular_files

_PRIVATE: Final = (".mbexport",)
_MAX_SIGNATURE_BYTES: Final = 1 << 14  # RSA of 16384 bits has 2048


def check(folder: Path, public_key: PublicKey | None) -> tuple[Finding, ...]:
    """Findings on all in `folder` that is not as its manifest lists it; those on the signature come first.

    Every listed file must be there with the listed bytes, and no other but the manifest, its signature and the private
    `.mbexport/`; what the files say of each other must be true. With a `public_key` there must be a signature by it.
    Raises `DataError` if the manifest is missing, cannot be read or lists nothing.
    """
    content = _manifest_bytes(folder / MANIFEST)
    manifest = manifest_from_bytes(content, source=folder / MANIFEST)
    if not manifest.files:
        raise DataError(f"{folder / MANIFEST} must list files, got none: there is nothing to check")
    listed = {name: facts.size_bytes for name, facts in manifest.files.items()}
    sizes, findings = regular_files(folder, listed=listed, private=_PRIVATE)
    sizes = {name: size for name, size in sizes.items() if name not in (MANIFEST, SIGNATURE)}
    findings += check_sizes(listed, sizes)
    findings += _check_contents(folder, manifest, sizes)
    sound = set(listed) - {each.name for each in findings}
    return (
        *_check_signature(folder, content, public_key),
        *sorted(findings, key=lambda each: each.name),
        *check_documents(folder, manifest, sound),
        *check_copies(folder, manifest.files, sound),
    )


def _manifest_bytes(file: Path) -> bytes:
    try:
        with open_regular(file) as manifest:
            content = manifest.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise DataError(f"the manifest {file} cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_MANIFEST_BYTES:
        raise DataError(f"the manifest {file} must have at most {MAX_MANIFEST_BYTES >> 20} MiB, got more")
    return content


def _check_contents(folder: Path, manifest: Manifest, sizes: dict[str, int]) -> Iterator[Finding]:
    """Findings on files of the listed size with other bytes."""
    for name, facts in sorted(manifest.files.items()):
        if sizes.get(name) != facts.size_bytes:
            continue
        try:
            with open_regular(folder / name) as content:
                sha256 = bounded_hash(content, size_bytes=facts.size_bytes)
        except OSError as error:
            yield Finding(status=Status.UNREADABLE, name=name, got=error.strerror or str(error))
            continue
        if sha256 != facts.sha256:
            got = f"sha256 {sha256}" if sha256 else f"more than {facts.size_bytes} bytes"
            yield Finding(status=Status.ALTERED, name=name, got=got, expected=f"sha256 {facts.sha256}")


def _check_signature(folder: Path, content: bytes, public_key: PublicKey | None) -> Iterator[Finding]:
    try:
        with open_regular(folder / SIGNATURE) as file:
            signature = file.read(_MAX_SIGNATURE_BYTES)
    except FileNotFoundError:
        if public_key is not None:
            yield Finding(status=Status.UNSIGNED, name=MANIFEST, got="no signature", expected=SIGNATURE)
        return
    except OSError as error:
        yield Finding(status=Status.UNREADABLE, name=SIGNATURE, got=error.strerror or str(error))
        return
    if public_key is None:
        yield Finding(status=Status.NOTE, name=SIGNATURE, got="a signature and no key to check it with")
    elif verify(content, signature, public_key):
        yield Finding(status=Status.NOTE, name=SIGNATURE, got="a valid signature")
    else:
        yield Finding(status=Status.INVALID, name=SIGNATURE, got="another signature", expected=f"one of {MANIFEST}")
