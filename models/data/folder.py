"""Turns a folder of images into labelled sets of images, read one at a time.

A folder holds one sub-folder a class. If it holds `train/` and `val/` those are the two sets; else it is split,
seeded and class by class. Class order is the sorted folder names, or the order of a classes file (first word of
a line: folder name; the rest: label).
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
from mbexport.models.data.decode import IMAGE_SUFFIXES, read_image
from mbexport.models.data.imageset import Data, ImageSet, split_by_seed


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    folders: tuple[str, ...]
    labels: tuple[str, ...]


def open_folder(root: Path, classes_file: Path | None) -> Data:
    """The data set in `root`, labelled by its sub-folders. Raises `DataError` if it cannot be used."""
    if not root.is_dir():
        raise DataError(f"data must be `digits` or a folder with one sub-folder a class, or tfds:NAME, got {root}")
    is_split = (root / "train").is_dir() and (root / "val").is_dir()
    parts = [root / "train", root / "val"] if is_split else [root]
    for part in parts:
        require_inside(part, root=root)
    classes = _classes(parts, classes_file, root=root)
    listings = [_list_part(part, classes, root=root) for part in parts]

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        if is_split:
            return listings[0].images(), listings[1].images()
        images = listings[0].images()
        labels, counts = np.unique(images.labels, return_counts=True)
        if counts.min() < 2:
            lone = classes.folders[int(labels[counts.argmin()])]
            raise DataError(f"class {lone} must have at least 2 images to split off a test set, got 1 in {root}")
        return split_by_seed(images, seed)

    return Data(
        name=root.resolve().name,
        class_names=classes.labels,
        fingerprint=_hash(classes, *(listing.fingerprint for listing in listings)),
        is_photos=True,
        split=split,
        evaluation=lambda _seed: listings[-1].images(),
        contents=lambda: _hash(classes, *(listing.contents() for listing in listings)),
        has_validation=is_split,
    )


def open_unlabelled(root: Path) -> tuple[ImageSet, str]:
    """The images in `root` and one folder below it, and their fingerprint; labels tell only the folders apart.

    Raises `DataError` if there are none.
    """
    names, listing = _list_unlabelled(root)
    return listing.images(), _hash(_Classes(folders=names, labels=names), listing.fingerprint)


def unlabelled_contents(root: Path) -> str:
    """A hash of the images that `open_unlabelled` finds, the same wherever they lie and whenever they were written."""
    return _list_unlabelled(root)[1].contents()


def _list_unlabelled(root: Path) -> tuple[tuple[str, ...], Listing]:
    """The names of the folders in `root`, and the images in it and in these."""
    if not root.is_dir():
        raise DataError(f"calibration data must be a folder of images, got {root}")
    names = tuple(sub_folders(root, root=root))
    return names, list_images(dict(enumerate([root, *(root / name for name in names)])), root=root)


def _classes(parts: list[Path], classes_file: Path | None, *, root: Path) -> _Classes:
    found = {part: sub_folders(part, root=root) for part in parts}
    if classes_file is not None:
        classes = _read_classes(classes_file)
        for part, names in found.items():
            unknown = sorted(set(names) - set(classes.folders))
            if unknown:
                raise DataError(f"{part} has a sub-folder that the classes file does not name: {unknown[0]}")
        return classes
    names = sorted({name for names in found.values() for name in names})
    if len(names) < 2:
        said = f"one class only ({names[0]})" if names else "no sub-folder"
        raise DataError(f"{parts[0]} must hold at least 2 sub-folders, one a class, got {said}")
    return _Classes(folders=tuple(names), labels=tuple(names))


def read_labels(file: Path) -> tuple[str, ...]:
    """The labels of a classes file, in its order. Raises `DataError` if it is none."""
    return _read_classes(file).labels


def _read_classes(file: Path) -> _Classes:
    try:
        lines = [line.split(maxsplit=1) for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the classes file {file} cannot be read: {error}") from None
    folders = tuple(words[0] for words in lines)
    for name in folders:
        if name in (".", "..") or "/" in name or "\\" in name:
            raise DataError(f"the classes file {file} must name folders inside the data folder, got {name}")
    if len(folders) < 2 or len(set(folders)) != len(folders):
        raise DataError(f"the classes file {file} must name at least 2 different folders, got {len(set(folders))}")
    return _Classes(folders=folders, labels=tuple(words[-1].strip() for words in lines))


def _list_part(part: Path, classes: _Classes, *, root: Path) -> Listing:
    """Every image file below `part` with its class index, in the order of the classes, then of the names."""
    folders = {index: part / name for index, name in enumerate(classes.folders) if (part / name).is_dir()}
    listing = list_images(folders, root=root)
    if len(np.unique(listing.labels)) < 2:
        raise DataError(f"{part} must hold images of at least 2 classes, got one class only")
    return listing


def _hash(classes: _Classes, *listings: str) -> str:
    """A hash of the classes and of what is known of each listing."""
    return hashlib.sha256("\n".join([repr(classes), *listings]).encode("utf-8", "surrogateescape")).hexdigest()
