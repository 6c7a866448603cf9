"""Write whole files into the output folder, and remember finished stages so that they need not run again.

Every file is written under a temporary name in `.mbexport/tmp`, flushed to the disk and then moved into place, so that
a run killed at any point leaves whole files only. The files of a stage lie in `.mbexport/stages/<stage>/` beside a
record of its key and of each file's sha256, sealed with the user's secret; a record that does not match its files, or
that somebody else wrote, does not count. No path below the folder is followed through a link.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import InputError, OutputError, StorageError
from mbexport.files import Folder, ForeignError
from mbexport.seal import fields_of, require_secret, sealed_json

PRIVATE: Final = ".mbexport"
_TMP: Final = f"{PRIVATE}/tmp"
_RECORD: Final = "record.json"
_MAX_RECORD_BYTES: Final = 1 << 24
_PRIVATE_MODE, _MODE = 0o600, 0o666  # of files; the second is narrowed by the user's umask
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_NOT_EMPTY: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_DISK_ERRORS: Final = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO})


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A finished stage: its key, the paths of its files by name, and the seconds that it took."""

    key: str
    files: Mapping[str, Path]
    seconds: float


class Workdir:
    """The output folder of one run. Open it with `Workdir.open`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Folder(root)

    @classmethod
    @contextmanager
    def open(cls, root: Path) -> Iterator["Workdir"]:
        """Open the folder `root` for this process alone; it is created if it does not exist.

        Half-written files of a killed run are removed. Raises `OutputError` if the folder cannot be written to,
        another run is using it, or its private part is a link or another user's, `StorageError` if the disk is
        read-only or full, `OptionError` for a secret that is too short.
        """
        require_secret()
        workdir = cls(root)
        made: list[Path] = []
        try:
            made = [folder for folder in (root, *root.parents) if not folder.exists()]
            root.mkdir(parents=True, exist_ok=True)
            workdir._require_own()
            workdir.folder.make_private(_TMP)
            lock = workdir.folder.open_lock(f"{PRIVATE}/lock")
        except OSError as error:
            raise _explained(error, root, PRIVATE) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OutputError(
                    f"output folder {root} is in use by another run; wait for its end, or give another --out"
                ) from None
            workdir._sweep()
            try:
                yield workdir
            except InputError:
                if made:  # bad input leaves nothing behind, not even the stages that finished before it was noticed
                    workdir._remove_undelivered(made)
                raise
            finally:
                if made and not (root / PRIVATE / "stages").exists():
                    workdir._remove_undelivered(made)

    @property
    def temporary(self) -> Path:
        """A folder for files of this run alone; the next run empties it when it starts."""
        return temporary_place(self.root)

    def require_space(self, size_bytes: int) -> None:
        """Raise `StorageError` now, not after minutes of work, if the disk has no room for `size_bytes`."""
        free = shutil.disk_usage(self.root).free
        if free < size_bytes:
            raise StorageError(
                f"{self.root} needs about {size_bytes >> 20} MiB of free space, got {free >> 20} MiB: disk full"
            )

    def write(self, relative: str, content: bytes) -> Path:
        """Write `content` to the path `relative` in the folder, whole or not at all, and return the full path.

        Raises `StorageError` if the disk is read-only or full, `OutputError` for any other failure, a link among the
        folders above the file for example.
        """
        target = self.root / relative
        temporary = f"{_TMP}/{os.getpid()}-{target.name}"
        is_private = relative.startswith(f"{PRIVATE}/")
        try:
            self.folder.write_new(temporary, content, mode=_PRIVATE_MODE if is_private else _MODE)
            self.folder.move(temporary, relative)
        except OSError as error:
            with suppress(OSError):  # a disk that has become read-only keeps it; the next run removes it
                self.folder.remove(temporary)
            raise _explained(error, self.root, relative) from None
        return target

    def remove(self, relative: str) -> None:
        """Remove the file at the path `relative` in the folder, if there is one."""
        try:
            self.folder.remove(relative)
        except OSError as error:
            raise _explained(error, self.root, relative) from None

    def remove_empty(self, relative: str) -> bool:
        """Remove the folder at the path `relative` if it holds nothing; false if it does."""
        try:
            self.folder.remove_empty(relative)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno in _NOT_EMPTY:
                return False
            raise _explained(error, self.root, relative) from None
        return True

    def finished(self, stage: str, key: str) -> StageRecord | None:
        """The record of `stage` if this user finished it with this key and its files are unchanged, else None."""
        place = _stage_folder(stage)
        try:
            record = fields_of(_purpose(stage), self.folder.read(f"{place}/{_RECORD}", limit_bytes=_MAX_RECORD_BYTES))
            if record["key"] != key:
                return None
            files = record["files"]
            if any(self._own_sha256(f"{place}/{name}") != sha256 for name, sha256 in files.items()):
                return None
            paths = {name: self.root / place / name for name in files}
            return StageRecord(key=key, files=paths, seconds=float(record["seconds"]))
        except (AttributeError, OSError, ValueError, KeyError, TypeError):
            return None  # no record, a damaged one, or somebody else's: the stage runs again

    def finish(self, stage: str, key: str, files: Mapping[str, bytes], *, seconds: float) -> StageRecord:
        """Store the files of `stage`, and its record last, when every file is whole."""
        place = _stage_folder(stage)
        self.remove(f"{place}/{_RECORD}")
        paths = {name: self.write(f"{place}/{name}", content) for name, content in files.items()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        record = {"key": key, "seconds": round(seconds, 3), "files": hashes}
        self.write(f"{place}/{_RECORD}", sealed_json(_purpose(stage), record))
        return StageRecord(key=key, files=paths, seconds=seconds)

    def _own_sha256(self, relative: str) -> str | None:
        """The sha256 of a file of this user's that nobody else may write; None of another."""
        with self.folder.open(relative) as content:
            state = os.fstat(content.fileno())
            if state.st_uid != os.geteuid() or state.st_mode & _OTHERS_WRITE:
                return None
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _require_own(self) -> None:
        """Make the private part of the folder. Raises `OutputError` if there is one of another user's."""
        self.folder.make_private(PRIVATE)
        state = self.folder.status(PRIVATE)
        assert state is not None
        if state.st_uid != os.geteuid():
            raise OutputError(
                f"{self.root / PRIVATE} must belong to you (user {os.geteuid()}), got user {state.st_uid}: remove it, "
                "or name another folder"
            )

    def _sweep(self) -> None:
        """Remove what a killed run left. Raises `OutputError` for a link that would be met after hours of work."""
        try:
            self.folder.clear(_TMP)
            linked = self.folder.linked_folder(PRIVATE)
        except OSError as error:
            raise _explained(error, self.root, _TMP) from None
        if linked is not None:
            raise OutputError(f"{self.root / linked} is a link; remove it, or name another folder")

    def _remove_undelivered(self, made: list[Path]) -> None:
        """Remove the folders in `made`, innermost first, unless something was delivered into the output folder."""
        if self.root.exists() and {entry.name for entry in self.root.iterdir()} == {PRIVATE}:
            shutil.rmtree(self.root, ignore_errors=True)
            with suppress(OSError):  # another program may have put something there by now
                for folder in made[1:]:
                    folder.rmdir()


def temporary_place(root: Path) -> Path:
    """The folder below the output folder `root` that the next run there empties when it starts."""
    return root / _TMP


def stage_key(stage: str, options: Mapping[str, object], upstream: tuple[str, ...]) -> str:
    """A hash of a stage's name, its options and the keys of its upstream stages; if it changes, the stage runs."""
    text = json.dumps([stage, options, upstream], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _stage_folder(stage: str) -> str:
    return f"{PRIVATE}/stages/{stage}"


def _purpose(stage: str) -> str:
    return f"stage {stage}"


def _explained(error: OSError, root: Path, relative: str) -> OutputError | StorageError:
    reason = error.strerror or str(error)
    if error.errno in _DISK_ERRORS:
        return StorageError(f"cannot write to {root}: {reason}")
    if isinstance(error, ForeignError):
        return OutputError(f"{root / (error.filename or relative)} is {reason}; remove it, or name another folder")
    return OutputError(f"output folder {root} must be a folder that can be written to, got: {reason}")
