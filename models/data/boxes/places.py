"""Find the folders of images and of annotations in a data folder, and the part of the data that each belongs to.

Both lie in folders beside each other (`images/`, `labels/`), or mixed in one. Each of these forms may be in the data
folder itself, or in folders that are parts of it (`train/images/`, `valid/images/`); of two folders, parts may also be
the inner ones (`images/train/`, `labels/train/`).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.documents import read_document
from mbexport.errors import DataError
from mbexport.models.data.boxes.image_files import without_ending
from mbexport.models.data.kinds import IMAGE_SUFFIXES, ending_of
from mbexport.models.data.left_out import PassedOver
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.shards.survey import part_of_shard
from mbexport.models.data.splits import Part

IMAGE_FOLDERS: Final = frozenset({"images", "jpegimages", "image", "imgs", "img", "data"})  # in small letters
_ANNOTATION_ENDINGS: Final = (".xml", ".json", ".txt")
_NO_PLACE: Final = "it holds no images with annotations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder of images, and one of their annotations, which may be the same."""

    images: Path
    annotations: Path

    @property
    def is_mixed(self) -> bool:
        """Whether images and annotations lie in one folder."""
        return self.images == self.annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The place of each part, and the folders beside them that are not read."""

    places: Mapping[Part, Place]
    passed: tuple[PassedOver, ...] = ()

    @property
    def roots(self) -> tuple[Path, ...]:
        """All folders of images and of annotations."""
        folders = (path for place in self.places.values() for path in (place.images, place.annotations))
        return tuple(dict.fromkeys(folders))


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """How the annotations of a format are named: their `ending`, and folders of them, in small letters.

    If `is_alike` an annotation in a folder of images has the name of one. A folder of annotations may be empty if
    `may_be_empty`.
    """

    ending: str
    folders: frozenset[str]
    is_alike: bool = False
    may_be_empty: bool = False


def find_layout(folder: DataFolder, kind: Annotations) -> Layout | None:
    """Where images and annotations of that kind lie; None if there are none.

    A part that is alone is the whole data. Raises `DataError` where two folders are one part, and for a link out of the
    data folder.
    """
    root = folder.root
    names = folder.survey(root, with_files=False).names
    pair = _pair(folder, root, kind)
    if pair is not None:
        inner = _inner_pairs(folder, pair)
        named = {name: Place(images=pair.images / name, annotations=pair.annotations / name) for name in inner}
        return _layout(folder, pair.images, named) if named else Layout(places={Part.WHOLE: pair})
    found = {name: _place(folder, root / name, kind) for name in names if part_of_shard(name) is not Part.WHOLE}
    named = {name: place for name, place in found.items() if place is not None}
    if named:
        return _layout(folder, root, named)
    return Layout(places={Part.WHOLE: Place(images=root, annotations=root)}) if _is_mixed(root, kind) else None


def one_by_part(root: Path, names: Iterable[str]) -> dict[Part, str]:
    """The folder or file in `root` of each part, by a word of its name; one that is alone is the whole data.

    Raises `DataError` where two are the same part, or one is no part beside others.
    """
    found: dict[Part, str] = {}
    for name in sorted(names):
        part = part_of_shard(name)
        if part in found:
            raise DataError(
                f"{root} must hold one place for each part of the data, got {shown(found[part])} and {shown(name)}: "
                "move one of them out"
            )
        found[part] = name
    if len(found) == 1:
        return {Part.WHOLE: next(iter(found.values()))}
    if Part.WHOLE in found:
        other = next(name for part, name in found.items() if part is not Part.WHOLE)
        raise DataError(
            f"{root} must hold parts of the data alone, got {shown(found[Part.WHOLE])} beside {shown(other)}"
        )
    return {part: found[part] for part in Part if part in found}


def files_in(folder: Path, *endings: str) -> list[str]:
    """The sorted names of the files in a folder that end so, but for hidden ones."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if ending_of(entry.name) in endings and not entry.name.startswith(".") and not entry.is_dir()
            )
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None


def read_annotation(folder: DataFolder, path: Path, *, limit_bytes: int) -> bytes:
    """The content of the annotation at `path`.

    Raises `DataError` for a link out of the data folder, for more than `limit_bytes`, and if it cannot be read.
    """
    admit_all(folder, path)
    return read_document(path, limit_bytes=limit_bytes)


def admit_all(folder: DataFolder, path: Path) -> None:
    """Raise `DataError` if `path`, or a folder between it and the data folder, is a link out of the data folder."""
    inner = folder.root
    for name in path.relative_to(folder.root).parts:
        inner = inner / name
        folder.admit(inner)


def _layout(folder: DataFolder, above: Path, named: Mapping[str, Place]) -> Layout:
    """The layout of places in folders of these names, which lie in the folder `above`."""
    names = one_by_part(above, named)
    others = sorted(set(folder.survey(above, with_files=False).names) - set(named))
    passed = tuple(folder.passed_folder(above / name, _NO_PLACE) for name in others)
    return Layout(places={part: named[name] for part, name in names.items()}, passed=passed)


def _place(folder: DataFolder, path: Path, kind: Annotations) -> Place | None:
    pair = _pair(folder, path, kind)
    if pair is None and _is_mixed(path, kind):
        return Place(images=path, annotations=path)
    return pair


def _pair(folder: DataFolder, path: Path, kind: Annotations) -> Place | None:
    """The folder of images and that of annotations in the folder `path`, where the images may lie themselves."""
    names = folder.survey(path, with_files=False).names
    annotations = [name for name in names if name.casefold() in kind.folders and _holds(path / name, kind)]
    images = [name for name in names if name.casefold() in IMAGE_FOLDERS]
    full = [name for name in images if _images_in(path / name) or _folders_in(path / name)]
    if not annotations or not (images or _images_in(path)):
        return None
    beside = path if not images else path / (full or images)[0]
    return Place(images=beside, annotations=path / annotations[0])


def _inner_pairs(folder: DataFolder, pair: Place) -> list[str]:
    """The names of folders that both folders of a pair hold, if images lie there and not in the pair's own."""
    if _images_in(pair.images):
        return []
    both = set(folder.survey(pair.images, with_files=False).names) & set(_folders_in(pair.annotations))
    parts = [name for name in both if part_of_shard(name) is not Part.WHOLE]
    return parts or (list(both) if len(both) == 1 else [])


def _holds(annotations: Path, kind: Annotations) -> bool:
    """Whether a folder of that name holds annotations of that kind, and no others if it may be empty."""
    places = [annotations, *(annotations / name for name in _folders_in(annotations))]
    if any(files_in(place, kind.ending) for place in places):
        return True
    return kind.may_be_empty and not any(files_in(place, *_ANNOTATION_ENDINGS) for place in places)


def _is_mixed(path: Path, kind: Annotations) -> bool:
    annotations, images = files_in(path, kind.ending), _images_in(path)
    if kind.is_alike:
        return not {without_ending(name) for name in annotations}.isdisjoint(map(without_ending, images))
    return bool(annotations and images)


def _images_in(folder: Path) -> list[str]:
    return files_in(folder, *IMAGE_SUFFIXES)


def _folders_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None
