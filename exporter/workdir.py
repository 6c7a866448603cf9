"""Write whole files into the output folder, and remember finished stages so that they need not run again.

Every file is written under a temporary name in `.mbexport/tmp`, flushed to the disk and then moved into place, so that
a run killed at any point leaves whole files only. The files of a stage lie in `.mbexport/stages/<stage>/` beside a
record of its key and of each file's sha256; a record that does not match its files does not count.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.errors import InputError, OutputError, StorageError

_PRIVATE: Final = ".mbexport"
_RECORD: Final = "record.json"
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
        self._private = root / _PRIVATE
        self._tmp = self._private / "tmp"

    @classmethod
    @contextmanager
    def open(cls, root: Path) -> Iterator["Workdir"]:
        """Open the folder `root` for this process alone; it is created if it does not exist.

        Half-written files of a killed run are removed. Raises `OutputError` if the folder cannot be written to or
        another run is using it, `StorageError` if the disk is read-only or full.
        """
        workdir = cls(root)
        made: list[Path] = []
        try:
            made = [folder for folder in (root, *root.parents) if not folder.exists()]
            workdir._tmp.mkdir(parents=True, exist_ok=True)
            lock = (workdir._private / "lock").open("a")
        except OSError as error:
            raise _explained(error, root) from None
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
                if made and not (workdir._private / "stages").exists():
                    workdir._remove_undelivered(made)

    @property
    def temporary(self) -> Path:
        """A folder for files of this run alone; the next run empties it when it starts."""
        return self._tmp

    def require_space(self, size_bytes: int) -> None:
        """Raise `StorageError` now, not after minutes of work, if the disk has no room for `size_bytes`."""
        free = shutil.disk_usage(self.root).free
        if free < size_bytes:
            raise StorageError(
                f"{self.root} needs about {size_bytes >> 20} MiB of free space, got {free >> 20} MiB: disk full"
            )

    def write(self, relative: str, content: bytes) -> Path:
        """Write `content` to the path `relative` in the folder, whole or not at all, and return the full path.

        Raises `StorageError` if the disk is read-only or full, `OutputError` for any other failure.
        """
        target = self.root / relative
        temporary = self._tmp / f"{os.getpid()}-{target.name}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            with suppress(OSError):  # a disk that has become read-only keeps it; the next run removes it
                temporary.unlink(missing_ok=True)
            raise _explained(error, self.root) from None
        return target

    def remove(self, relative: str) -> None:
        """Remove the file at the path `relative` in the folder, if there is one."""
        try:
            (self.root / relative).unlink(missing_ok=True)
        except OSError as error:
            raise _explained(error, self.root) from None

    def finished(self, stage: str, key: str) -> StageRecord | None:
        """The record of `stage` if it finished with this key and its files are unchanged, else None."""
        folder = self._stage_folder(stage)
        try:
            record: dict[str, Any] = json.loads((folder / _RECORD).read_text("utf-8"))
            if record["key"] != key:
                return None
            files = {name: folder / name for name in record["files"]}
            if any(sha256_of(path) != record["files"][name] for name, path in files.items()):
                return None
            return StageRecord(key=key, files=files, seconds=float(record["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # no record, or a damaged one: the stage runs again

    def finish(self, stage: str, key: str, files: Mapping[str, bytes], *, seconds: float) -> StageRecord:
        """Store the files of `stage`, and its record last, when every file is whole."""
        folder = f"{_PRIVATE}/stages/{stage}"
        self.remove(f"{folder}/{_RECORD}")
        paths = {name: self.write(f"{folder}/{name}", content) for name, content in files.items()}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        record = {"key": key, "seconds": round(seconds, 3), "files": hashes}
        self.write(f"{folder}/{_RECORD}", json.dumps(record, indent=1).encode())
        return StageRecord(key=key, files=paths, seconds=seconds)

    def _stage_folder(self, stage: str) -> Path:
        return self._private / "stages" / stage

    def _sweep(self) -> None:
        try:
            for leftover in self._tmp.iterdir():
                leftover.unlink()
        except OSError as error:
            raise _explained(error, self.root) from None

    def _remove_undelivered(self, made: list[Path]) -> None:
        """Remove the folders in `made`, innermost first, unless something was delivered into the output folder."""
        if self.root.exists() and {entry.name for entry in self.root.iterdir()} == {_PRIVATE}:
            shutil.rmtree(self.root, ignore_errors=True)
            with suppress(OSError):  # another program may have put something there by now
                for folder in made[1:]:
                    folder.rmdir()


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stage_key(stage: str, options: Mapping[str, object], upstream: tuple[str, ...]) -> str:
    """A hash of a stage's name, its options and the keys of its upstream stages; if it changes, the stage runs."""
    text = json.dumps([stage, options, upstream], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: OSError, root: Path) -> OutputError | StorageError:
    reason = error.strerror or str(error)
    if error.errno in _DISK_ERRORS:
        return StorageError(f"cannot write to {root}: {reason}")
    return OutputError(f"output folder {root} must be a folder that can be written to, got: {reason}")
