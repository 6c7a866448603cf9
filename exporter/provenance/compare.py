"""Turns a manifest and files that were made again into a comparison, byte by byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.provenance.manifest import MANIFEST, Input, Manifest, Tool
from mbexport.provenance.read_manifest import read_manifest
from mbexport.workdir import sha256_of

_PART_BYTES: Final = 1 << 20


class Status(StrEnum):
    """What became of a file: as listed, other bytes, not made again, not listed, or altered where it was delivered."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"
    UNLISTED = "unlisted"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One file: the sha256 that the manifest lists and the one that was found, if any.

    `first_difference` is the offset of the first byte in which the rebuilt file and the delivered one differ, where
    the delivered one lies beside the manifest. Of an altered file the sha256 is that of the delivered one.
    """

    name: str
    status: Status
    listed: str | None
    found: str | None
    first_difference: int | None = None


def require_inputs(manifest: Manifest, found: Mapping[str, Input]) -> None:
    """Raises `DataError` unless what the options name now holds what it held when the manifest was written."""
    for option, listed in manifest.inputs.items():
        here = found.get(option)
        if here is None or (here.is_file, here.digest) != (listed.is_file, listed.digest):
            got = f"{here.name} with {here.digest[:16]}…" if here else "nothing"
            raise DataError(
                f"--{option} must hold what the manifest was made from, {listed.name} with {listed.digest[:16]}…, "
                f"got {got}"
            )


def compared(manifest: Manifest, *, rebuilt: Path, delivered: Path) -> tuple[Compared, ...]:
    """Every file that the manifest lists, and every other one that was made again.

    Those whose bytes do not repeat are left out; of a file that was made again it is the rebuilt manifest that says so.
    `rebuilt` is the folder of the files made again and of their own manifest, `delivered` the one with the manifest,
    which may hold the files.
    """
    made = read_manifest(rebuilt / MANIFEST).files
    listed = (
        _compared(name, facts.sha256, rebuilt=rebuilt / name if name in made else None, delivered=delivered / name)
        for name, facts in sorted(manifest.files.items())
        if made.get(name, facts).repeats
    )
    unlisted = (
        Compared(name=name, status=Status.UNLISTED, listed=None, found=facts.sha256)
        for name, facts in sorted(made.items())
        if name not in manifest.files and facts.repeats
    )
    return (*listed, *unlisted)


def _compared(name: str, listed: str, *, rebuilt: Path | None, delivered: Path) -> Compared:
    beside = sha256_of(delivered) if delivered.is_file() else None
    if rebuilt is None:
        return Compared(name=name, status=Status.MISSING, listed=listed, found=None)
    found = sha256_of(rebuilt)
    if found != listed:
        first = first_difference(rebuilt, delivered) if beside == listed else None
        return Compared(name=name, status=Status.DIFFERS, listed=listed, found=found, first_difference=first)
    if beside not in (None, listed):
        first = first_difference(rebuilt, delivered)
        return Compared(name=name, status=Status.ALTERED, listed=listed, found=beside, first_difference=first)
    return Compared(name=name, status=Status.SAME, listed=listed, found=found)


def first_difference(one: Path, other: Path) -> int | None:
    """The offset of the first byte that two files do not share; None if they are equal."""
    offset = 0
    with one.open("rb") as a, other.open("rb") as b:
        while True:
            parts = a.read(_PART_BYTES), b.read(_PART_BYTES)
            if parts[0] != parts[1]:
                pairs = zip(*parts, strict=False)
                shared = min(map(len, parts))
                return offset + next((index for index, (x, y) in enumerate(pairs) if x != y), shared)
            if not parts[0]:
                return None
            offset += len(parts[0])


def other_tools(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """What made the manifest's files and is another here: what it was and what it is, by name; `code` is our own."""
    then, now = _told(manifest.tool), _told(Tool.here())
    pairs = {name: (then.get(name, "unknown"), now.get(name, "unknown")) for name in {**then, **now}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _told(tool: Tool) -> dict[str, str]:
    return {"code": tool.code[:16], **tool.versions, **tool.environment}
