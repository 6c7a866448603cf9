"""List the image files of a data folder, and all that is passed over, without opening what ends as an image does.

A link that leads out of the data folder is refused, so that nobody's folder brings in files that its owner does not
see, unless the caller follows links: a tree that DVC or Bazel made holds nothing else.
"""

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.data.decode import read_image
from mbexport.models.data.imageset import ImageSet
from mbexport.models.data.kinds import DECODERS, ending_of, kind_by_ending, look_at, unread
from mbexport.models.data.left_out import LeftOut, PassedOver
from mbexport.models.data.names import shown
from mbexport.models.data.passed_folders import NO_CLASS, NO_DEEPER, holds_photos, reason_against

_APPLE_DOUBLE = "._"  # begins the name of a Mac's file of attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files: the i-th is called `names[i]` ("folder/file") and lies in `folders[labels[i]]`.

    `labels` is int64 of shape (n,); `fingerprint` hashes names, labels, sizes, times of change, inodes, and where links
    out of the data folder lead. `left_out` are the other files and folders in each folder, by its label.
    """

    folders: Mapping[int, Path]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    fingerprint: str
    left_out: Mapping[int, LeftOut]

    def images(self) -> ImageSet:
        """The files as images, opened when they are read."""
        names = tuple(map(shown, self.names))
        return ImageSet(
            labels=self.labels,
            names=names,
            read=lambda index: read_image(self._path(index)),
            source=self.fingerprint,
        )

    def contents(self) -> str:
        """The hash of file names, labels and bytes, wherever they lie and whenever they changed. Reads every file."""
        digest = hashlib.sha256()
        for index, label in enumerate(self.labels):
            path = self._path(index)
            digest.update(os.fsencode(path.name) + b"\0%d\0" % label + bytes_hash(path))
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self.folders[int(self.labels[index])] / self.names[index].rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The folders in a folder: sorted `names` of those that may be classes, and the `others` with the reason."""

    names: tuple[str, ...]
    others: Mapping[str, str]
    files: tuple[PassedOver, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
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

    def survey(self, part: Path, *, with_files: bool = True) -> Survey:
        """The folders in `part`, which is the root or lies in it; with `with_files` also the files beside them.

        Raises `DataError` for a folder that holds both images and the output of a run.
        """
        names: list[str] = []
        others: dict[str, str] = {}
        files: list[PassedOver] = []
        for entry in _entries(part):
            if not _is_folder(entry):
                if with_files:
                    files.append(self._passed(part, entry.name, NO_CLASS, is_photo=_looks_like_a_photo(entry.name)))
            elif reason := reason_against(part / entry.name):
                others[entry.name] = reason
            else:
                names.append(entry.name)
        return Survey(names=tuple(sorted(names)), others=others, files=tuple(files))

    def passed_folder(self, path: Path, reason: str) -> PassedOver:
        """The folder at `path`, which is not read for that `reason`; somebody may miss it if it holds photos."""
        own = reason_against(path)
        is_photo = not own and not path.is_symlink() and holds_photos(path)
        return self._passed(path.parent, path.name, own or reason, is_photo=is_photo, is_folder=True)

    def list_images(self, folders: Mapping[int, Path], *, beside: Collection[str] = ()) -> Listing:
        """The image files in each of `folders`, by label, then by name; there may be none.

        Files with an ending in `beside` are somebody else's to read: they are no images, and not left out. Raises
        `DataError` for a link as `admit` does, and for what ends as an image does and is no regular file.
        """
        digest = hashlib.sha256()
        names: list[str] = []
        counts = []
        left_out = {}
        inner: dict[Path, set[str]] = {}
        for folder in folders.values():
            inner.setdefault(folder.parent, set()).add(folder.name)
        for label, folder in folders.items():
            outside = self.admit(folder)
            passed: list[PassedOver] = []
            files = sorted(self._image_files(folder, inner.get(folder, ()), beside, passed))
            left_out[label] = LeftOut.of(sorted(passed, key=lambda each: each.name))
            for file, identity, target in files:
                line = f"{folder.relative_to(self.root)}/{file}\0{label}\0{identity}"
                # Build systems give all their files one time of change: only the link's target tells them apart.
                linked = "".join(f"\0{place}" for place in (outside, target) if place)
                digest.update(os.fsencode(f"{line}{linked}\n"))
                names.append(f"{folder.name}/{file}")
            counts.append(len(files))
        return Listing(
            folders=MappingProxyType(dict(folders)),
            names=tuple(names),
            labels=np.repeat(np.array(list(folders), dtype=np.int64), counts),
            fingerprint=digest.hexdigest(),
            left_out=MappingProxyType(left_out),
        )

    def _image_files(
        self, folder: Path, listed: Collection[str], beside: Collection[str], passed: list[PassedOver]
    ) -> Iterator[tuple[str, str, str]]:
        """Name, identity and link target outside (or "") of each image file in `folder`.

        What else lies there is added to `passed`, but for the folders that are `listed` themselves, and for files
        that end as those `beside` images.
        """
        for entry in _entries(folder):
            if entry.name in listed or ending_of(entry.name) in beside:
                continue
            other = self._no_image(folder, entry)
            if other is not None:
                passed.append(other)
                continue
            try:
                state = entry.stat()  # of what a link leads to
            except OSError as error:
                raise DataError(f"{entry.path} cannot be read: {error.strerror}") from None
            if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for a writer that never comes
                raise DataError(f"{entry.path} must be a regular file, got {_kind(state.st_mode)}")
            target = self.admit(folder / entry.name) if entry.is_symlink() else ""
            yield entry.name, identity_of(state), target

    def _no_image(self, folder: Path, entry: "os.DirEntry[str]") -> PassedOver | None:
        """Why `entry` is passed over, None for an image. Looks into files alone whose ending is not an image's."""
        name = entry.name
        if not name.startswith(".") and kind_by_ending(name) in DECODERS:
            return None
        if _is_folder(entry):
            return self.passed_folder(folder / name, NO_DEEPER)
        if name.startswith("."):
            return self._passed(folder, name, "it is hidden", is_photo=_looks_like_a_photo(name))
        if entry.is_symlink() and not (self.follow_links or self._stays_inside(folder / name)):
            reason = "it is a link out of the data folder, which --follow-links follows"
            return self._passed(folder, name, reason, is_photo=_looks_like_a_photo(name) or not ending_of(name))
        found = look_at(entry.path)
        if found.kind in DECODERS:
            return None
        reason = found.problem or ("it is no image" if found.kind is None else f"it {unread(found.kind)}")
        is_photo = found.kind is not None or (bool(found.problem) and _looks_like_a_photo(name))
        return self._passed(folder, name, reason, is_photo=is_photo)

    def _stays_inside(self, link: Path) -> bool:
        try:
            return link.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # links in a circle lead nowhere
            return True

    def _passed(self, folder: Path, name: str, reason: str, *, is_photo: bool, is_folder: bool = False) -> PassedOver:
        path = (folder / name).relative_to(self.root)
        return PassedOver(name=shown(str(path)), reason=reason, is_photo=is_photo, is_folder=is_folder)


def _looks_like_a_photo(name: str) -> bool:
    return not name.startswith(_APPLE_DOUBLE) and kind_by_ending(name) is not None


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


def bytes_hash(path: Path) -> bytes:
    """The hash of a file's content: of nothing for one that cannot be read, which a run may leave out (--max-bad)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return hashlib.sha256().digest()


def identity_of(state: os.stat_result) -> str:
    """What tells a file from another one of its name: it may be overwritten with its size and time of change kept."""
    return f"{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\0{state.st_ino}"


def _kind(mode: int) -> str:
    return {"d": "a folder", "p": "a pipe", "s": "a socket"}.get(stat.filemode(mode)[0], "a device")
