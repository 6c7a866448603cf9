"""Open a folder of images as labelled sets of images, read one at a time.

A folder holds one sub-folder a class. If it holds `train/` and `val/`, those are the two sets; otherwise it is split,
seeded and class by class. Class order is the sorted folder names, or the order of a classes file (first word of
a line: folder name; the rest: label).

A link that leads out of the data folder is refused, so that nobody's folder brings in files that its owner does not
see, unless the caller follows links: a tree that DVC or Bazel made holds nothing else.
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
from mbexport.models.data.imageset import DataSet, ImageSet, split_by_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files: the i-th is called `names[i]` ("folder/file") and lies in `folders[labels[i]]`.

    `labels` is int64 of shape (n,); `fingerprint` hashes names, labels, sizes, times of change, and where links
    out of the data folder lead.
    """

    folders: Mapping[int, Path]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    fingerprint: str

    def images(self) -> ImageSet:
        """The files as images, opened when they are read."""
        return ImageSet(labels=self.labels, names=self.names, read=lambda index: read_image(self._path(index)))

    def contents(self) -> str:
        """The hash of file names, labels and bytes, wherever they lie and whenever they changed. Reads every file."""
        digest = hashlib.sha256()
        for index, label in enumerate(self.labels):
            path = self._path(index)
            digest.update(os.fsencode(path.name) + b"\0%d\0" % label + _bytes_hash(path))
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self.folders[int(self.labels[index])] / self.names[index].rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _DataFolder:
    """The data folder `root`, which may be a link itself, and whether links may lead out of it."""

    root: Path
    follow_links: bool

    def admit(self, path: Path) -> str:
        """The target of `path` if it is a link out of the data folder, else "".

        Raises `DataError` for such a link unless links are followed, and for one that leads to a folder around it.
        """
        if not path.is_symlink() or path == self.root:
            return ""
        target = path.resolve()
        if self.follow_links and path.parent.resolve().is_relative_to(target):
            raise DataError(f"{path} links to {target}, a folder that holds the link: remove the link")
        if target.is_relative_to(self.root.resolve()):
            return ""
        if not self.follow_links:
            raise DataError(
                f"{path} links to {target}, outside the data folder {self.root}: "
                "pass --follow-links to read it, or copy it into the folder"
            )
        return str(target)

    def sub_folders(self, part: Path) -> list[str]:
        """The sorted names of the folders in `part`, without hidden ones. Raises `DataError` as `admit` does."""
        names = sorted(entry.name for entry in _entries(part) if not entry.name.startswith(".") and _is_folder(entry))
        for name in names:
            self.admit(part / name)
        return names

    def list_images(self, folders: Mapping[int, Path]) -> Listing:
        """The image files in each of `folders`, by label, then by name.

        Raises `DataError` if there are none, for a link as `admit` does, and for what is no regular file.
        """
        digest = hashlib.sha256()
        names: list[str] = []
        counts = []
        for label, folder in folders.items():
            outside = self.admit(folder)
            files = sorted(self._image_files(folder))
            for file, size_bytes, changed_ns, target in files:
                line = f"{folder.relative_to(self.root)}/{file}\0{label}\0{size_bytes}\0{changed_ns}"
                # Build systems give all their files one time of change: only the link's target tells them apart.
                linked = "".join(f"\0{place}" for place in (outside, target) if place)
                digest.update(os.fsencode(f"{line}{linked}\n"))
                names.append(f"{folder.name}/{file}")
            counts.append(len(files))
        if not names:
            legal = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{self.root} holds no image: expected files ending in {legal}")
        return Listing(
            folders=MappingProxyType(dict(folders)),
            names=tuple(names),
            labels=np.repeat(np.array(list(folders), dtype=np.int64), counts),
            fingerprint=digest.hexdigest(),
        )

    def _image_files(self, folder: Path) -> Iterator[tuple[str, int, int, str]]:
        """Name, size in bytes, time of change (ns) and link target outside (or "") of each image file in `folder`."""
        for entry in _entries(folder):
            if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:  # noqa: PTH122
                continue
            try:
                state = entry.stat()  # of what a link leads to
            except OSError as error:
                raise DataError(f"{entry.path} cannot be read: {error.strerror}") from None
            if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for a writer that never comes
                raise DataError(f"{entry.path} must be a regular file, got {_kind(state.st_mode)}")
            target = self.admit(folder / entry.name) if entry.is_symlink() else ""
            # The numbers alone: a million stat_results would take many times their memory.
            yield entry.name, state.st_size, state.st_mtime_ns, target


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
    """The hash of a file's content: of nothing for one that cannot be read, which a run may leave out (--max-bad)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return hashlib.sha256().digest()


def _kind(mode: int) -> str:
    return {"d": "a folder", "p": "a pipe", "s": "a socket"}.get(stat.filemode(mode)[0], "a device")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:  # its name and fields are part of every hash of data: renaming them would make known data look new
    folders: tuple[str, ...]
    labels: tuple[str, ...]


def open_folder(root: Path, classes_file: Path | None, *, follow_links: bool = False) -> DataSet:
    """The data set in `root`, labelled by its sub-folders.

    With `follow_links` files and folders may be links to anywhere. Raises `DataError` if the folder cannot be used.
    """
    if not root.is_dir():
        raise DataError(f"--data must be digits, tfds:NAME or a folder with one sub-folder a class, got {root}")
    folder = _DataFolder(root=root, follow_links=follow_links)
    is_split = (root / "train").is_dir() and (root / "val").is_dir()
    parts = [root / "train", root / "val"] if is_split else [root]
    for part in parts:
        folder.admit(part)
    classes = _classes(folder, parts, classes_file)
    listings = [_list_part(folder, part, classes) for part in parts]

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        if is_split:
            return listings[0].images(), listings[1].images()
        images = listings[0].images()
        labels, counts = np.unique(images.labels, return_counts=True)
        if counts.min() < 2:
            lone = classes.folders[int(labels[counts.argmin()])]
            raise DataError(f"class {lone} must have at least 2 images to split off a test set, got 1 in {root}")
        return split_by_seed(images, seed)

    return DataSet(
        name=root.resolve().name,
        class_names=classes.labels,
        fingerprint=_hash(classes, *(listing.fingerprint for listing in listings)),
        is_photos=True,
        split=split,
        evaluation=lambda _seed: listings[-1].images(),
        contents=lambda: _hash(classes, *(listing.contents() for listing in listings)),
        has_validation=is_split,
    )


def open_unlabelled(root: Path, *, follow_links: bool = False) -> tuple[ImageSet, str]:
    """The images in `root` and one folder below it, and their fingerprint; labels only tell the folders apart.

    With `follow_links` files and folders may be links to anywhere. Raises `DataError` if there are no images.
    """
    names, listing = _list_unlabelled(root, follow_links=follow_links)
    return listing.images(), _hash(_Classes(folders=names, labels=names), listing.fingerprint)


def unlabelled_contents(root: Path, *, follow_links: bool = False) -> str:
    """The hash of the images that `open_unlabelled` opens, wherever they lie and whenever they were written."""
    return _list_unlabelled(root, follow_links=follow_links)[1].contents()


def _list_unlabelled(root: Path, *, follow_links: bool) -> tuple[tuple[str, ...], Listing]:
    """The names of the folders in `root`, and the images in it and in these."""
    if not root.is_dir():
        raise DataError(f"--calibration must be a folder of images, got {root}")
    folder = _DataFolder(root=root, follow_links=follow_links)
    names = tuple(folder.sub_folders(root))
    return names, folder.list_images(dict(enumerate([root, *(root / name for name in names)])))


def _classes(folder: _DataFolder, parts: list[Path], classes_file: Path | None) -> _Classes:
    found = {part: folder.sub_folders(part) for part in parts}
    if classes_file is not None:
        classes = _read_classes(classes_file)
        for part, names in found.items():
            unknown = sorted(set(names) - set(classes.folders))
            if unknown:
                raise DataError(f"{part} has a sub-folder that the classes file does not name: {unknown[0]}")
        return classes
    names = sorted({name for names in found.values() for name in names})
    if len(names) < 2:
        got = f"one class only ({names[0]})" if names else "no sub-folder"
        raise DataError(f"{parts[0]} must hold at least 2 sub-folders, one a class, got {got}")
    return _Classes(folders=tuple(names), labels=tuple(names))


def read_labels(file: Path) -> tuple[str, ...]:
    """The labels of a classes file, in its order. Raises `DataError` if it is not one."""
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


def _list_part(folder: _DataFolder, part: Path, classes: _Classes) -> Listing:
    """Every image file below `part` with its class index, in the order of the classes, then of the names."""
    folders = {index: part / name for index, name in enumerate(classes.folders) if (part / name).is_dir()}
    listing = folder.list_images(folders)
    if len(np.unique(listing.labels)) < 2:
        raise DataError(f"{part} must hold images of at least 2 classes, got one class only")
    return listing


def _hash(classes: _Classes, *listings: str) -> str:
    """The hash of the classes and of the hash of each listing."""
    return hashlib.sha256("\n".join([repr(classes), *listings]).encode("utf-8", "surrogateescape")).hexdigest()
