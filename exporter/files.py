"""Open regular files only, and reach files below a folder without following a link.

Whoever may write to a folder can put a link, a pipe or a device in the place of any file in it. Below a `Folder` each
path is walked from descriptor to descriptor, so that what was looked at is what is read, replaced or removed.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Final

MAX_BYTES: Final = 1 << 32  # of a file that is read as a whole: more than any artifact or checkpoint has
_PART_BYTES: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe without a writer must not be waited for
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOG: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODE: Final = 0o666  # narrowed by the user's umask
_LINK: Final = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # what systems say of O_NOFOLLOW and of O_DIRECTORY
_NO_NAMES: Final = ("", ".", "..")
_SPACE, _DELETE = 0x20, 0x7F  # characters before the one, and the other itself, control terminals


class ForeignError(OSError):
    """The path `filename` leads to something else than a regular file or folder; `strerror` says to what."""


def user_folder(variable: str, *default: str) -> Path | None:
    """Our folder in one of the XDG Base Directory Specification; None where the user has no home.

    `variable` names that folder where it holds an absolute path, else it is `default` below the home.
    """
    given = Path(os.environ.get(variable, ""))
    try:
        base = given if given.is_absolute() else Path.home().joinpath(*default)
    except RuntimeError:
        return None
    return base / "mbexport"


def is_inside(name: str) -> bool:
    """Whether `name` is a path from a folder to a file below it, and means the same on every system."""
    is_plain = not any(letter == "\\" or ord(letter) < _SPACE or ord(letter) == _DELETE for letter in name)
    return is_plain and not any(part in _NO_NAMES for part in name.split("/"))


@contextmanager
def open_regular(file: Path, *, follow_links: bool = False) -> Iterator[BufferedReader]:
    """The regular file at `file`; a link to one counts with `follow_links`, for files that the user has named.

    Raises `ForeignError` for anything else, `OSError` if it cannot be read.
    """
    try:
        descriptor = os.open(file, _READ | (0 if follow_links else os.O_NOFOLLOW))
    except OSError as error:
        if not follow_links and file.is_symlink():
            raise _foreign("a link", file) from None
        raise error from None
    with _regular(descriptor, file) as content:
        yield content


def read_regular(file: Path, *, limit_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file that the user has named; it may be a link.

    Raises `ForeignError` for a pipe, a device or a folder, `OSError` for more than `limit_bytes`, or if it cannot be
    read.
    """
    with open_regular(file, follow_links=True) as content:
        return _bounded(content, limit_bytes)


def sha256_of(file: Path) -> str:
    """The sha256 of a regular file's content, in hexadecimal; the file may be a link. Raises as `read_regular`."""
    with open_regular(file, follow_links=True) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Folder:
    """The files below the folder `root`, by relative paths; none of these is followed through a link.

    `root` itself is the user's own word, and may be a link. Every method raises `FileNotFoundError` for a path that
    does not exist, `ForeignError` for a link, pipe or device, and `OSError` for whatever else a system refuses.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def status(self, name: str) -> os.stat_result | None:
        """What lies at `name`, itself and not what it may lead to; None if nothing does."""
        try:
            with self._above(name) as (folder, last):
                return os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """The regular file at `name`, to be read."""
        with self._above(name) as (folder, last):
            try:
                descriptor = os.open(last, _READ | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                raise (_foreign("a link", name) if error.errno in _LINK else error) from None
        with _regular(descriptor, name) as content:
            yield content

    def read(self, name: str, *, limit_bytes: int = MAX_BYTES) -> bytes:
        """The content of the regular file at `name`, of at most `limit_bytes`."""
        with self.open(name) as content:
            return _bounded(content, limit_bytes)

    def sha256(self, name: str) -> str:
        """The sha256 of the regular file at `name`, in hexadecimal."""
        with self.open(name) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def write_new(self, name: str, content: bytes, *, mode: int) -> None:
        """Write a new file, in the place of any of that name, and flush it to the disk; folders above it are made."""
        with self.create(name, mode=mode) as file:
            file.write(content)

    @contextmanager
    def create(self, name: str, *, mode: int) -> Iterator[IO[bytes]]:
        """A new file, in the place of any of that name, which is flushed to the disk when it has been written."""
        with self._above(name, make=True) as (folder, last):
            with suppress(FileNotFoundError):
                os.unlink(last, dir_fd=folder)
            with os.fdopen(os.open(last, _NEW, mode, dir_fd=folder), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())

    def open_to_append(self, name: str) -> IO[bytes]:
        """The regular file at `name`, made if there is none, to be written at its end; folders above it are made."""
        with self._above(name, make=True) as (folder, last):
            try:
                descriptor = os.open(last, _LOG, _MODE, dir_fd=folder)
            except OSError as error:
                raise (_foreign("a link", name) if error.errno in _LINK else error) from None
        _require_regular(descriptor, name)
        return os.fdopen(descriptor, "ab", buffering=0)

    def move(self, source: str, target: str) -> None:
        """Put the file `source` in the place of `target`, whose folders are made, and flush that to the disk."""
        with self._above(source) as (old, first), self._above(target, make=True) as (new, last):
            os.replace(first, last, src_dir_fd=old, dst_dir_fd=new)
            os.fsync(new)

    def remove(self, name: str) -> None:
        """Remove the file, or the link itself, at `name`, if there is one."""
        with suppress(FileNotFoundError), self._above(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def remove_empty(self, name: str) -> None:
        """Remove the folder at `name`. Raises `OSError` if it holds something."""
        with self._above(name) as (folder, last):
            os.rmdir(last, dir_fd=folder)

    def make_private(self, name: str) -> None:
        """Make the folder at `name`, if there is none, in which nobody else may write; folders above it are made."""
        with self._above(name, make=True) as (folder, last):
            with suppress(FileExistsError):
                os.mkdir(last, 0o700, dir_fd=folder)
            inner = _open_folder(last, folder, name)
        try:
            if os.fstat(inner).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                with suppress(PermissionError):  # a file system without owners; files there do not count as ours
                    os.fchmod(inner, 0o700)
        finally:
            os.close(inner)

    def clear(self, name: str) -> None:
        """Remove everything in the folder at `name`; links themselves, never what they lead to."""
        with self._walked(name.split("/"), make=False) as folder:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for entry, is_folder in found:
                if is_folder:
                    shutil.rmtree(entry, dir_fd=folder)
                else:
                    os.unlink(entry, dir_fd=folder)

    def regular_files(self, name: str) -> list[tuple[str, os.stat_result]]:
        """The path and the status of each regular file below the folder at `name`, in the order of their names."""
        found = []
        with self._walked(name.split("/"), make=False) as folder:
            for base, _, names, inner in os.fwalk(".", dir_fd=folder):
                for each in names:
                    state = os.stat(each, dir_fd=inner, follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        found.append((os.path.normpath(f"{name}/{base}/{each}"), state))
        return sorted(found, key=lambda each: each[0])

    def touch(self, name: str) -> None:
        """Set the times of what lies at `name`, itself, to now."""
        with self._above(name) as (folder, last):
            os.utime(last, dir_fd=folder, follow_symlinks=False)

    def linked_folder(self, name: str) -> str | None:
        """The path of a link to a folder below the folder at `name`, if there is one."""
        with self._walked(name.split("/"), make=False) as folder:
            for base, folders, _, inner in os.fwalk(".", dir_fd=folder):
                for each in folders:
                    if stat.S_ISLNK(os.stat(each, dir_fd=inner, follow_symlinks=False).st_mode):
                        return os.path.normpath(f"{name}/{base}/{each}")
        return None

    def open_lock(self, name: str) -> IO[bytes]:
        """The file at `name`, made if there is none, for `flock`."""
        with self._above(name) as (folder, last):
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(last, flags, 0o600, dir_fd=folder)
            except OSError as error:
                raise (_foreign("a link", name) if error.errno in _LINK else error) from None
        _require_regular(descriptor, name)
        return os.fdopen(descriptor, "r+b", buffering=0)

    @contextmanager
    def _above(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The descriptor of the folder that holds `name`, and the last component of `name`."""
        if not is_inside(name):
            raise _foreign("no path below the folder", name)
        *parts, last = name.split("/")
        with self._walked(parts, make=make) as folder:
            yield folder, last

    @contextmanager
    def _walked(self, parts: Sequence[str], *, make: bool) -> Iterator[int]:
        """The descriptor of the folder that `parts` lead to from the root."""
        folder = os.open(self.root, _FOLDER)
        try:
            for depth, part in enumerate(parts, start=1):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                inner = _open_folder(part, folder, "/".join(parts[:depth]))
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _open_folder(last: str, above: int, name: str) -> int:
    """The descriptor of the folder `last` in the folder `above`; errors call it `name`."""
    try:
        return os.open(last, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno not in _LINK:
            raise
    is_link = stat.S_ISLNK(os.stat(last, dir_fd=above, follow_symlinks=False).st_mode)
    raise _foreign("a link" if is_link else "no folder", name)


@contextmanager
def _regular(descriptor: int, name: str | Path) -> Iterator[BufferedReader]:
    _require_regular(descriptor, name)
    with os.fdopen(descriptor, "rb") as content:
        yield content


def _require_regular(descriptor: int, name: str | Path) -> None:
    """Closes what is no regular file, and raises `ForeignError`."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # asked of the open file: at the path another may lie by now
        os.close(descriptor)
        raise _foreign("no regular file", name)


def _bounded(content: BufferedReader, limit_bytes: int) -> bytes:
    parts, left = [], limit_bytes
    while part := content.read(_PART_BYTES):
        left -= len(part)
        if left < 0:
            raise OSError(errno.EFBIG, f"more than {limit_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


def _foreign(what: str, name: str | Path) -> ForeignError:
    return ForeignError(errno.EINVAL, what, str(name))
