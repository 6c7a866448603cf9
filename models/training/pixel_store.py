"""Cache the pixels of decoded images on disk, from where they are read in microseconds.

The file has no name, so nothing is left behind however the process ends. The memory holds one flag an image. A store
that holds every image can be kept, and its file serves another run.
"""

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final

import numpy as np

from mbexport.models.preprocess import Pixels

_LIMIT_BYTES: Final = 4 << 30
_SHARE_OF_FREE_SPACE: Final = 0.5  # artifacts and other programs need some, too


class PixelStore:
    """A cache on disk of the pixels of `count` images of one `shape`, which is filled when they are read.

    Safe for any number of threads. A full disk empties the store and never ends the run: images are decoded again.
    """

    def __init__(self, folder: Path, *, count: int, shape: tuple[int, int, int]) -> None:
        """Open a file without a name in `folder`. Raises `OSError` if that is not possible."""
        with tempfile.TemporaryFile(dir=folder) as file:
            self._open(os.dup(file.fileno()), count=count, shape=shape, is_filled=False)

    @classmethod
    def filled(cls, file: int, *, count: int, shape: tuple[int, int, int]) -> "PixelStore":
        """A store of which the descriptor `file` holds all images; it is closed with the store, and never written."""
        store = cls.__new__(cls)
        store._open(file, count=count, shape=shape, is_filled=True)
        return store

    def _open(self, file: int, *, count: int, shape: tuple[int, int, int], is_filled: bool) -> None:
        self.count, self.shape = count, shape
        self._record_bytes = math.prod(shape)
        self._holds = np.full(count, is_filled)
        self._is_writable = not is_filled
        self._is_own = not is_filled
        self._lock = Lock()
        self._file = file
        # Not closed before the last reader is gone: the file descriptor's number could be another file's by then.
        weakref.finalize(self, os.close, self._file)

    def __enter__(self) -> "PixelStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def pixels(self, index: int, decode: Callable[[int], Pixels]) -> Pixels:
        """The pixels of image `index`, uint8 of `shape`: from the disk, or from `decode(index)` the first time."""
        if self._holds[index]:
            found = self._read(index)
            if found is not None:
                return found
        pixels = decode(index)
        if self._is_writable:
            self._write(index, pixels)
        return pixels

    def discard(self) -> None:
        """Free the disk space. Later reads decode the images again."""
        with self._lock:
            self._is_writable = False
            self._holds[:] = False
            if self._is_own:
                os.ftruncate(self._file, 0)

    @property
    def content(self) -> tuple[int, int] | None:
        """The descriptor and the size in bytes of a file that this store has filled; None while an image is missing."""
        if not self._is_writable or not self._holds.all():
            return None
        return self._file, self.count * self._record_bytes

    def _read(self, index: int) -> Pixels | None:
        try:
            record = os.pread(self._file, self._record_bytes, index * self._record_bytes)
        except OSError:
            return None
        # The flag is read again: after `discard` a late writer may have left a hole full of zeros here.
        if len(record) != self._record_bytes or not self._holds[index]:
            return None
        return np.frombuffer(record, np.uint8).reshape(self.shape)

    def _write(self, index: int, pixels: Pixels) -> None:
        try:
            written = os.pwrite(self._file, pixels.tobytes(), index * self._record_bytes)
        except OSError:
            written = 0
        if written != self._record_bytes:
            self.discard()  # the disk is full, and artifacts need the space more
            return
        with self._lock:
            self._holds[index] = self._is_writable


def open_store(
    folder: Path, *, count: int, shape: tuple[int, int, int], limit_bytes: int = _LIMIT_BYTES
) -> PixelStore | None:
    """Open a store in `folder`; None if it exceeds `limit_bytes` or half of the free space, or cannot be opened."""
    try:
        room = min(limit_bytes, int(shutil.disk_usage(folder).free * _SHARE_OF_FREE_SPACE))
        return PixelStore(folder, count=count, shape=shape) if count * math.prod(shape) <= room else None
    except OSError:
        return None
