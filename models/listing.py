"""Turns a folder on disk into a list of the image files in it, none of which lies outside that folder.

What is kept of a file is its name: a list of a million files takes 100 MB, not a GB of paths.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.images import IMAGE_SUFFIXES, read_image
from mbexport.models.imageset import ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files: the i-th is called `names[i]` ("folder/file") and lies in `folders[labels[i]]`.

    `labels` is int64 of shape (n,); `fingerprint` hashes names, labels, sizes and times of change.
    """

    folders: Mapping[int, Path]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    fingerprint: str

    def images(self) -> ImageSet:
        """The files as images, opened when they are read."""

        return ImageSet(labels=self.labels, names=self.names, read=lambda index: read_image(self._path(index)))

    def contents(self) -> str:
        """A hash of file names, labels and bytes: not of the place, nor of times of change. Every file is read."""
        digest = hashlib.sha256()
        for index, label in enumerate(self.labels):
            path = self._path(index)
            digest.update(os.fsencode(path.name) + b"\0%d\0" % label + _bytes_hash(path))
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self.folders[int(self.labels[index])] / self.names[index].rpartition("/")[2]


def sub_folders(part: Path, *, root: Path) -> list[str]:
    """The sorted names of the folders in `part`, hidden ones left out. Raises `DataError` for one outside `root`."""
    names = sorted(entry.name for entry in _entries(part) if not entry.name.startswith(".") and _is_folder(entry))
    for name in names:
        require_inside(part / name, root=root)
    return names


def list_images(folders: Mapping[int, Path], *, root: Path) -> Listing:
    """The image files in each of `folders`, by label, then by name.

    Raises `DataError` if there are none, if one is a link that leaves `root`, or is no regular file.
    """
    digest = hashlib.sha256()
    names: list[str] = []
    counts = []
    for label, folder in folders.items():
        require_inside(folder, root=root)
        files = sorted(_image_files(folder, root))
        for file, size_bytes, changed_ns in files:
            line = f"{folder.relative_to(root)}/{file}\0{label}\0{size_bytes}\0{changed_ns}\n"
            digest.update(os.fsencode(line))
            names.append(f"{folder.name}/{file}")
        counts.append(len(files))
    if not names:
        raise DataError(f"{root} holds no image: expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return Listing(
        folders=MappingProxyType(dict(folders)),
        names=tuple(names),
        labels=np.repeat(np.array(list(folders), dtype=np.int64), counts),
        fingerprint=digest.hexdigest(),
    )


def require_inside(path: Path, *, root: Path) -> None:
    """Raises `DataError` if `path` is a link that leads out of `root`, which may be a link itself."""
    if not path.is_symlink() or path == root:
        return
    target = path.resolve()
    if not target.is_relative_to(root.resolve()):
        raise DataError(f"{path} must not lead out of its data folder, got a link to {target}, outside {root}")


def _image_files(folder: Path, root: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change (ns) of each image file in `folder`: a stat_result is many times as large."""
    for entry in _entries(folder):
        if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:  # noqa: PTH122
            continue
        try:
            state = entry.stat()
        except OSError as error:
            raise DataError(f"{entry.path} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for a writer that never comes
            raise DataError(f"{entry.path} must be a regular file, got {_kind(state.st_mode)}")
        if entry.is_symlink():
            require_inside(folder / entry.name, root=root)
        yield entry.name, state.st_size, state.st_mtime_ns


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _bytes_hash(path: Path) -> bytes:
    """A hash of a file's content; one that cannot be read may be left out of a run, and hashes like an empty one."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return hashlib.sha256().digest()


def _kind(mode: int) -> str:
    return {"d": "a folder", "p": "a pipe", "s": "a socket"}.get(stat.filemode(mode)[0], "a device")
