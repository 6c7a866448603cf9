"""Read the lists that say which part of the data an image belongs to: `train.txt`, `val.txt`, `test.txt`.

A line is a name, which may be a path and have an ending; of a path the last part counts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.boxes.image_files import without_ending
from mbexport.models.data.boxes.places import files_in, read_annotation
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.splits import Part, part_of

_MOST_BYTES: Final = 1 << 26  # a million names of images
_BOTH: Final = "trainval.txt"  # of Pascal VOC: what is in train.txt or in val.txt


@dataclass(frozen=True, slots=True, kw_only=True)
class PartList:
    """A list: its name from the data folder, and the names in it, without endings."""

    file: str
    names: tuple[str, ...]


def read_lists(folder: DataFolder, place: Path) -> dict[Part, PartList]:
    """The list of each part that lies in the folder `place`; one that is alone is of the whole data.

    Raises `DataError` for two lists of one part, for a name that is listed twice, and for one that cannot be read.
    """
    found: dict[Part, PartList] = {}
    files = files_in(place, ".txt") if place.is_dir() else []
    for file in files:
        part = part_of(without_ending(file))
        if part in found:
            raise DataError(f"{place} must hold one list for each part of the data, got {found[part].file} and {file}")
        if part is not None:
            found[part] = _read(folder, place / file)
    if Part.TRAIN not in found and _BOTH in files:
        both = _read(folder, place / _BOTH)
        aside = set(found[Part.VALIDATION].names) if Part.VALIDATION in found else set()
        found[Part.TRAIN] = PartList(file=both.file, names=tuple(name for name in both.names if name not in aside))
    _require_apart(found)
    if len(found) == 1:
        return {Part.WHOLE: next(iter(found.values()))}
    return {part: found[part] for part in Part if part in found}


def without_unlabelled_test(lists: Mapping[Part, PartList], known: Collection[str]) -> dict[Part, PartList]:
    """The lists without that of a test part of whose images none is `known`: nobody has labelled them."""
    kept = {
        part: listed
        for part, listed in lists.items()
        if part is not Part.TEST or not set(known).isdisjoint(listed.names)
    }
    return {Part.WHOLE: next(iter(kept.values()))} if len(kept) == 1 else kept


def _read(folder: DataFolder, path: Path) -> PartList:
    try:
        text = read_annotation(folder, path, limit_bytes=_MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is no list of images: it is no text in UTF-8") from None
    lines = filter(None, (line.strip().replace("\\", "/") for line in text.splitlines()))
    names = [without_ending(line.rpartition("/")[2]) for line in lines]
    _require_once(path, names)
    return PartList(file=path.relative_to(folder.root).as_posix(), names=tuple(names))


def _require_once(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{path} must list each image once, got {shown(name)} again")
        seen.add(name)


def _require_apart(lists: Mapping[Part, PartList]) -> None:
    """Raise `DataError` for an image in two parts: what is tested on must not be learned from."""
    owners: dict[str, str] = {}
    for listed in lists.values():
        for name in listed.names:
            if name in owners:
                raise DataError(f"{owners[name]} and {listed.file} must list other images, got {shown(name)} in both")
            owners[name] = listed.file
