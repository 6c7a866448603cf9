"""Turns images that were decoded once into bytes on disk that are read back in microseconds.

The file has no name: however the process ends, nothing is left behind. What is kept in memory is one flag an image.
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
_SHARE_OF_FREE_SPACE: Final = 0.5  # the artifacts and other programs need some too


class PixelStore:
    """Room on disk for the pixels of `count` images of one `shape`, filled as they are asked for.

    Any number of threads may ask. A disk that is full ends the store, never the run: images are decoded anew.
    """

    def __init__(self, folder: Path, *, count: int, shape: tuple[int, int, int]) -> None:
        """Opens a file without a name in `folder`. Raises `OSError` where that cannot be done."""
        self.count, self.shape = count, shape
        self._record_bytes = math.prod(shape)
        self._holds = np.zeros(count, np.bool_)
        self._is_writable = True
        self._lock = Lock()
        with tempfile.TemporaryFile(dir=folder) as file:
            self._file = os.dup(file.fileno())
        # Not closed before the last reader has let go: its number could mean another file by then.
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
        """Gives the disk space back. Whoever still asks gets images that are decoded anew."""
        with self._lock:
            self._is_writable = False
            self._holds[:] = False
            os.ftruncate(self._file, 0)

    def _read(self, index: int) -> Pixels | None:
        try:
            record = os.pread(self._file, self._record_bytes, index * self._record_bytes)
        except OSError:
            return None
        # Looked at again: if it was discarded meanwhile, a late writer may have left a hole full of zeros here.
        if len(record) != self._record_bytes or not self._holds[index]:
            return None
        return np.frombuffer(record, np.uint8).reshape(self.shape)

    def _write(self, index: int, pixels: Pixels) -> None:
        try:
            written = os.pwrite(self._file, pixels.tobytes(), index * self._record_bytes)
        except OSError:
            written = 0
        if written != self._record_bytes:
            self.discard()  # the disk is full: artifacts need the space more
            return
        with self._lock:
            self._holds[index] = self._is_writable


def open_store(
    folder: Path, *, count: int, shape: tuple[int, int, int], limit_bytes: int = _LIMIT_BYTES
) -> PixelStore | None:
    """A store in `folder`, or None where it would not fit `limit_bytes` and half of the free space, or cannot be."""
    try:
        room = min(limit_bytes, int(shutil.disk_usage(folder).free * _SHARE_OF_FREE_SPACE))
        return PixelStore(folder, count=count, shape=shape) if count * math.prod(shape) <= room else None
    except OSError:
        return None
