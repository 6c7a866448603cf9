"""Keep the temporary files of a run where the next run removes them, if this one is killed."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = ".mbexport-run-"


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let every library put its temporary files into `folder`, which may come to exist later, while the block runs."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder.absolute())
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def temporary_folder(place: Path | None = None) -> Iterator[Path]:
    """A new folder in `place`, removed at the end; those of killed runs of this user there are removed first.

    Without a place it lies where the system has temporary files. The run holds a lock on its folder, which the system
    drops when the process ends in whatever way.
    """
    within = Path(tempfile.gettempdir()) if place is None else place.absolute()
    _remove_abandoned(within)
    folder, lock = _locked_folder(within)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A new folder in `place`, and the descriptor with the lock on it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        lock = _lock(folder)
        if lock is not None:
            return folder, lock


def _remove_abandoned(place: Path) -> None:
    """Remove the folders of runs that were killed; what cannot be removed stays."""
    with suppress(OSError):
        for folder in place.glob(f"{_PREFIX}*"):
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """The descriptor with the lock on a folder of this user; None for a link, and where another process has the lock.

    Another process may take a new folder for an abandoned one in the moment before it is locked, and remove it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    state = os.fstat(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = state.st_uid == os.geteuid() and os.path.samestat(state, folder.lstat())
        if is_ours and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
