"""Read any part of a few shards or of thousands: from several threads, with few descriptors open at once."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.listing import identity_of

_MOST_OPEN: Final = 64  # descriptors: a process may often have 1024, and others are needed, too
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe without a writer must not be waited for
_WINDOW_BYTES: Final = 1 << 14  # of small reads one after the other


Version = tuple[int, int, int]  # size in bytes, time of change in ns, inode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A file of many images: where it lies, its name from the data folder, and its state when it was listed.

    `identity` tells it from any other file; `version` changes when somebody writes to it.
    """

    path: Path
    name: str
    identity: str
    version: Version


class OpenShard:
    """An open shard, closed when nobody holds it: a thread may still read what others have put away."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, _READ)
            state = os.fstat(self._descriptor)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(state.st_mode):
            raise DataError(f"{path} must be a regular file")
        self.path = path
        self.size_bytes, self.identity, self.version = state.st_size, identity_of(state), _version(state)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """The bytes from `offset`: fewer than `size_bytes` where the file ends. Raises `DataError` if a disk fails."""
        try:
            content = os.pread(self._descriptor, size_bytes, offset)
            while 0 < len(content) < size_bytes:  # a system gives at most 2 GB at once, and may give less
                more = os.pread(self._descriptor, size_bytes - len(content), offset + len(content))
                if not more:
                    break
                content += more
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}") from None
        return content

    def version_now(self) -> Version:
        """The version of the open file, which somebody may be writing to."""
        return _version(os.fstat(self._descriptor))


class Window:
    """Small reads of a shard from its beginning to its end, many of them from one `read(offset, size_bytes)`."""

    def __init__(self, read: Callable[[int, int], bytes], *, path: Path, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes
        self._read, self._held, self._start = read, b"", 0

    def at(self, offset: int, size_bytes: int) -> bytes:
        """The bytes from `offset`: fewer than `size_bytes` where the file ends."""
        start = offset - self._start
        if start < 0 or start + size_bytes > len(self._held):
            wanted = min(max(size_bytes, _WINDOW_BYTES), max(self.size_bytes - offset, 0))
            self._held = self._read(offset, wanted) if wanted else b""
            self._start, start = offset, 0
        return self._held[start : start + size_bytes]


def reader_of(shards: Sequence[Shard]) -> Callable[[int, int, int], bytes]:
    """A function of a shard's number, an offset and a size, which threads may share; it gives those bytes.

    At most 64 shards are open at once, those that were read last. The function raises `DataError` for a shard that
    cannot be read, or has changed since it was listed.
    """

    @lru_cache(maxsize=_MOST_OPEN)
    def opened(number: int) -> OpenShard:
        return OpenShard(shards[number].path)

    def read(number: int, offset: int, size_bytes: int) -> bytes:
        shard = opened(number)
        content = shard.read(offset, size_bytes)
        if len(content) < size_bytes or shard.version_now() != shards[number].version:
            raise DataError(
                f"{shards[number].path} must stay as it is during a run: it has changed since it was listed"
            )
        return content

    return read


def _version(state: os.stat_result) -> Version:
    return state.st_size, state.st_mtime_ns, state.st_ino
