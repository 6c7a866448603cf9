"""Compare files that were made again with those that a manifest lists, byte by byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import sha256_of
from mbexport.provenance.manifest import MANIFEST, Input, Manifest, Tool
from mbexport.provenance.read_manifest import read_manifest

_PART_BYTES: Final = 1 << 20


class Status(StrEnum):
    """The result for one file: as listed, other bytes, not made again, not listed, or altered after delivery."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"
    UNLISTED = "unlisted"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileComparison:
    """One file: the sha256 that the manifest lists and the one that was found, None where there is none.

    `first_difference` is the offset of the first byte in which the rebuilt file and the delivered one differ, where
    the delivered one lies beside the manifest. Of an altered file the sha256 is that of the delivered one.
    """

    name: str
    status: Status
    listed: str | None
    found: str | None
    first_difference: int | None = None


def require_inputs(manifest: Manifest, found: Mapping[str, Input]) -> None:
    """Check that the files and folders that options name hold what they held when the manifest was written.

    `found` are today's inputs by option. Raises `DataError` for the first that differs.
    """
    for option, listed in manifest.inputs.items():
        now = found.get(option)
        if now is None or (now.is_file, now.digest) != (listed.is_file, listed.digest):
            got = f"{now.name} with {now.digest[:16]}…" if now else "nothing"
            raise DataError(
                f"--{option} must hold what the manifest was made from, {listed.name} with {listed.digest[:16]}…, "
                f"got {got}"
            )


def compare_files(manifest: Manifest, *, rebuilt: Path, delivered: Path) -> tuple[FileComparison, ...]:
    """A comparison for every file that the manifest lists, and for every other one that was made again.

    Files whose bytes do not repeat are left out, as the rebuilt manifest says, or the given one if a file was not made
    again. `rebuilt` is the folder with the files made again and their own manifest; `delivered` is the one with the
    given manifest, which may hold the delivered files.
    """
    made = read_manifest(rebuilt / MANIFEST).files
    listed = (
        _compare_file(name, facts.sha256, rebuilt=rebuilt / name if name in made else None, delivered=delivered / name)
        for name, facts in sorted(manifest.files.items())
        if made.get(name, facts).repeats
    )
    unlisted = (
        FileComparison(name=name, status=Status.UNLISTED, listed=None, found=facts.sha256)
        for name, facts in sorted(made.items())
        if name not in manifest.files and facts.repeats
    )
    return (*listed, *unlisted)


def _compare_file(name: str, listed: str, *, rebuilt: Path | None, delivered: Path) -> FileComparison:
    beside = sha256_of(delivered) if delivered.is_file() else None
    if rebuilt is None:
        return FileComparison(name=name, status=Status.MISSING, listed=listed, found=None)
    found = sha256_of(rebuilt)
    if found != listed:
        first = first_difference(rebuilt, delivered) if beside == listed else None
        return FileComparison(name=name, status=Status.DIFFERS, listed=listed, found=found, first_difference=first)
    if beside not in (None, listed):
        first = first_difference(rebuilt, delivered)
        return FileComparison(name=name, status=Status.ALTERED, listed=listed, found=beside, first_difference=first)
    return FileComparison(name=name, status=Status.SAME, listed=listed, found=found)


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


def tool_differences(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Tools that differ from those of the manifest, (then, now) by name; `code` is mbexport's own."""
    then, now = _tool_facts(manifest.tool), _tool_facts(Tool.here())
    pairs = {name: (then.get(name, "unknown"), now.get(name, "unknown")) for name in {**then, **now}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _tool_facts(tool: Tool) -> dict[str, str]:
    return {"code": tool.code[:16], **tool.versions, **tool.environment}
