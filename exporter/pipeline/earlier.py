"""What earlier runs left in an output folder: the only files there that a run may replace or remove.

Two lists say it. `.mbexport/published.json` is sealed with the user's secret, and is written before the first file of
a delivery is, so that it also knows what a killed run left. manifest.json lists the files of a finished folder that
another version, machine or user made. In either a file counts while it has the listed bytes: what the user has
changed, or put there, is the user's.
"""

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mbexport.errors import DataError, OutputError
from mbexport.files import ForeignError, is_inside
from mbexport.provenance.manifest import MANIFEST, SIGNATURE, Manifest
from mbexport.provenance.read_manifest import MAX_MANIFEST_BYTES, manifest_from_bytes
from mbexport.seal import fields_of, sealed_json
from mbexport.workdir import PRIVATE, Workdir

_INDEX: Final = f"{PRIVATE}/published.json"
_PURPOSE: Final = "published files"
_Hashes = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The files that earlier runs left in the folder of `workdir`: `listed` has the sha256 that each may have.

    `manifest` is that of a finished run, if there is one. With `force` also what has other bytes is replaced.
    """

    workdir: Workdir
    listed: _Hashes
    manifest: Manifest | None
    force: bool = False

    @classmethod
    def in_folder(cls, workdir: Workdir, *, force: bool = False) -> "Earlier":
        """What is known of the folder; nothing where it does not exist."""
        listed: dict[str, frozenset[str]] = dict(_index(workdir))
        manifest = _manifest(workdir)
        if manifest is not None:
            facts = {name: each.sha256 for name, each in manifest.files.items() if _is_deliverable(name)}
            own = [MANIFEST, SIGNATURE]  # which no manifest can list
            facts |= {name: sha256 for name in own if (sha256 := _sha256(workdir, name)) is not None}
            for name, sha256 in facts.items():
                listed[name] = listed.get(name, frozenset()) | {sha256}
        return cls(workdir=workdir, listed=listed, manifest=manifest, force=force)

    def require_replaceable(self, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
        """The sha256 of each of the files as it lies there now, None of one that does not exist.

        `wanted` has the sha256 that each is to have, None for one whose bytes do not matter or that is to go. Raises
        `OutputError`, which names the file, for one with other bytes that no earlier run left; and for a link, a pipe
        or a folder in the place of a file, even with `force`.
        """
        found = {name: _sha256(self.workdir, name) for name in wanted}
        for name, sha256 in found.items():
            is_ours = sha256 in (None, wanted[name]) or sha256 in self.listed.get(name, ())
            if not (is_ours or self.force):
                raise OutputError(
                    f"{self.workdir.root / name} is not as a run of mbexport left it: move it, name another folder, or "
                    "--force to have it replaced or removed"
                )
        return found

    def require_folder(self, name: str) -> None:
        """Raises `OutputError` for a link or a file in the place of the folder `name`; nothing need be there."""
        try:
            state = self.workdir.folder.status(name)
        except OSError as error:
            raise _in_the_way(self.workdir, name, error) from None
        if state is not None and not stat.S_ISDIR(state.st_mode):
            what = "a link" if stat.S_ISLNK(state.st_mode) else "no folder"
            raise OutputError(f"{self.workdir.root / name} is {what}: remove it, or name another folder")

    def require_unfinished(self) -> None:
        """Raises `OutputError` if the folder holds a finished run, of which another file would make its check fail."""
        if self.manifest is not None:
            raise OutputError(
                f"{self.workdir.root} holds what a run delivered, with {MANIFEST}: another file would make "
                "`bundle --check` fail; give another --out"
            )

    def record(self, held: Mapping[str, Iterable[str]]) -> None:
        """Write down the sha256 that each file of ours has, or is about to have."""
        files = {name: sorted(set(hashes)) for name, hashes in sorted(held.items())}
        self.workdir.write(_INDEX, sealed_json(_PURPOSE, {"files": files}))


def _is_deliverable(name: str) -> bool:
    return is_inside(name) and not name.startswith(f"{PRIVATE}/")


def _index(workdir: Workdir) -> _Hashes:
    """The files in the index; none if there is no index, it is damaged, or not this user's."""
    try:
        fields = fields_of(_PURPOSE, workdir.folder.read(_INDEX, limit_bytes=MAX_MANIFEST_BYTES))
        files: Mapping[str, Any] = fields["files"]
        return {name: frozenset(hashes) for name, hashes in files.items() if _is_deliverable(name)}
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return {}


def _manifest(workdir: Workdir) -> Manifest | None:
    """The manifest in the folder; None if there is none, or another program's."""
    try:
        content = workdir.folder.read(MANIFEST, limit_bytes=MAX_MANIFEST_BYTES)
        return manifest_from_bytes(content, source=workdir.root / MANIFEST)
    except (OSError, DataError):
        return None


def _sha256(workdir: Workdir, name: str) -> str | None:
    """The sha256 of the file `name`, None if nothing lies there. Raises `OutputError` for what is no regular file."""
    try:
        return workdir.folder.sha256(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _in_the_way(workdir, name, error) from None


def _in_the_way(workdir: Workdir, name: str, error: OSError) -> OutputError:
    if isinstance(error, ForeignError):
        place = workdir.root / (error.filename or name)
        return OutputError(f"{place} is {error.strerror}: remove it, or name another folder")
    return OutputError(f"{workdir.root / name} cannot be read: {error.strerror}; remove it, or name another folder")
