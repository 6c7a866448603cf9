"""Read boxes of COCO: one JSON for many images, `bbox` as left, top, width and height in pixels, counted from 0.

The numbers of categories mean nothing but within a file, and may have gaps: a class is known by its name. What is
marked `iscrowd` is many objects in one box, and difficult.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from mbexport.documents import parse_json
from mbexport.errors import DataError
from mbexport.escaping.terminal import visible
from mbexport.files import is_inside, open_regular
from mbexport.models.data.boxes.class_order import NO_CLASS, order_by_name
from mbexport.models.data.boxes.image_files import ImageFiles
from mbexport.models.data.boxes.places import IMAGE_FOLDERS, admit_all, files_in, one_by_part, read_annotation
from mbexport.models.data.boxes.stated import Found, Source, StatedBox, StatedImage
from mbexport.models.data.left_out import LeftOut, PassedOver
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.shards.survey import part_of_shard
from mbexport.models.data.splits import Part

_ENDING: Final = ".json"
_FOLDER: Final = "annotations"
_USUAL: Final = "instances_"  # begins the names of COCO's own files of boxes; others there are of captions
_NAMED: Final = re.compile(r"instances_.*|_?annotations?|.*\.coco", re.IGNORECASE)
_LOOKS_LIKE: Final = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_HEAD_BYTES: Final = 1 << 20
_MOST_BYTES: Final = 1 << 29  # COCO's largest, instances_train2017.json, has 449 MB; most of it are outlines
_MOST_CONTAINERS: Final = 1 << 23  # the same file has half as many; of one with a single entry Python makes 232 bytes
_MOST_COMMAS: Final = 1 << 26  # between numbers of 32 bytes; in the same file they stand 8 bytes apart
_DROPPED: Final = frozenset({"segmentation", "keypoints", "license", "licenses", "coco_url", "flickr_url", "info"})
_NO_BOXES: Final = "it holds no boxes"
_TRIED: Final = 200  # names of images, to find their folder
_LONGEST_REASON: Final = 200

Id = str | int
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """A row of `images`: its id, its path from the folder of images, "" for one that leads out of it, and its size."""

    id: Id
    name: str
    path: str
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A file of boxes: the names of its categories, its images, and the rows of `annotations` by image."""

    path: Path
    classes: Mapping[Id, str]
    images: Sequence[_Image]
    rows: Mapping[Id, Sequence[_Row]]


def find_coco(folder: DataFolder) -> Found | None:
    """The annotations of COCO in a data folder."""
    paths = _paths(folder)
    if not paths:
        return None
    first = next(iter(paths.values())).relative_to(folder.root).as_posix()
    return Found(where=first, read=lambda: _read(folder, paths))


def _paths(folder: DataFolder) -> dict[Part, Path]:
    """The file of each part: in `annotations/`, beside the images, or in the folders of the parts."""
    root = folder.root
    names = folder.survey(root, with_files=False).names
    for place in [*(root / name for name in names if name.casefold() == _FOLDER), root]:
        if files := _files_in(place):
            return {part: place / name for part, name in one_by_part(place, files).items()}
    found = {name: _files_in(root / name) for name in names if part_of_shard(name) is not Part.WHOLE}
    for name, files in found.items():
        if len(files) > 1:
            raise DataError(f"{root / name} must hold one file of boxes of COCO, got {files[0]} and {files[1]}")
    parts = one_by_part(root, (name for name, files in found.items() if files))
    return {part: root / name / found[name][0] for part, name in parts.items()}


def _files_in(place: Path) -> list[str]:
    files = files_in(place, _ENDING)
    found = [name for name in files if _NAMED.fullmatch(name[: -len(_ENDING)]) or _looks_like_coco(place / name)]
    return [name for name in found if name.startswith(_USUAL)] or found


def _looks_like_coco(path: Path) -> bool:
    try:
        with open_regular(path, follow_links=True) as content:
            return _LOOKS_LIKE.search(content.read(_HEAD_BYTES)) is not None
    except OSError:
        return False


def _read(folder: DataFolder, paths: Mapping[Part, Path]) -> Source:
    documents = {part: _document(folder, path) for part, path in paths.items()}
    passed: list[PassedOver] = []
    if len(documents) > 1 and Part.TEST in documents and not documents[Part.TEST].rows:
        name = documents.pop(Part.TEST).path.relative_to(folder.root).as_posix()
        passed.append(PassedOver(name=shown(name), reason=_NO_BOXES))
    if len(documents) == 1:
        documents = {Part.WHOLE: next(iter(documents.values()))}
    bases = {part: _base(folder, paths.get(part, each.path), part, each.images) for part, each in documents.items()}
    inner = {(bases[part] / image.path).parent for part, each in documents.items() for image in each.images}
    folders = sorted({*bases.values(), *filter(os.path.isdir, inner)})
    for place in folders:
        admit_all(folder, place)
    files = ImageFiles(folder, folders, beside=(_ENDING,))
    return Source(
        parts={part: _stated(folder, files, bases[part], each) for part, each in documents.items()},
        files=files,
        order=order_by_name,
        left_out=LeftOut.of(passed),
        roots=tuple(folders),
    )


def _base(folder: DataFolder, path: Path, part: Part, images: Sequence[_Image]) -> Path:
    """The folder that the names of images are meant from: that in which most of the first ones are found."""
    candidates: list[Path] = []
    for above in dict.fromkeys((path.parent, folder.root)):
        names = folder.survey(above, with_files=False).names
        plain = [above / name for name in names if name.casefold() in IMAGE_FOLDERS]
        inner = [place / name for place in plain for name in folder.survey(place, with_files=False).names]
        own = [each for each in (*(above / name for name in names), *inner) if part_of_shard(each.name) is part]
        candidates += [*own, *plain, above, *(above / name for name in names)]
    tried = [image.path for image in images[:_TRIED] if image.path]
    return max(dict.fromkeys(candidates), key=lambda place: sum(map(_is_file, (place / name for name in tried))))


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  # unlike that of Path it is false of what no system takes for a path


def _stated(folder: DataFolder, files: ImageFiles, base: Path, document: _Document) -> Iterator[StatedImage]:
    """The images in their order, and boxes without an image."""
    file = document.path.relative_to(folder.root).as_posix()
    for image in document.images:
        yield StatedImage(
            file=file,
            image=files.number(base, image.path) if image.path else None,
            wanted=f"image {image.name}",
            boxes=tuple(_box(row, document.classes) for row in document.rows.get(image.id, ())),
            size=image.size,
            first_px=0,
        )
    known = {image.id for image in document.images}
    for lost in document.rows.keys() - known:
        boxes = tuple(_box(row, document.classes) for row in document.rows[lost])
        yield StatedImage(file=file, image=None, wanted=f"image {lost} of {boxes[0].place}", boxes=boxes, first_px=0)


def _box(row: _Row, classes: Mapping[Id, str]) -> StatedBox:
    values = row.get("bbox")
    is_box = isinstance(values, list) and len(values) == 4 and all(map(_is_number, values))
    left, top, width, height = map(float, values) if is_box and values is not None else [math.nan] * 4
    category = row.get("category_id")
    unknown = category if _is_id(category) and not isinstance(category, str) else NO_CLASS
    return StatedBox(
        place=f"annotation {row['id']}" if _is_id(row.get("id")) else "an annotation",
        key=classes.get(category, unknown) if _is_id(category) else NO_CLASS,
        edges=(left, top, left + width, top + height),
        text="nothing" if values is None else str(values),
        is_difficult=row.get("iscrowd") in (1, True),
    )


def _document(folder: DataFolder, path: Path) -> _Document:
    """The document at `path`. Raises `DataError` unless it is a file of boxes of COCO."""
    text = read_annotation(folder, path, limit_bytes=_MOST_BYTES)
    _require_few_values(text, path)
    try:
        content = parse_json(text, dropped=_DROPPED)
    except ValueError as error:
        raise _refusal(path, str(error)) from None
    if not isinstance(content, dict):
        raise _refusal(path, "it must be an object")
    rows: dict[Id, list[_Row]] = {}
    for place, row in enumerate(_rows(content, "annotations", path, is_needed=False)):
        rows.setdefault(_id(row, "image_id", f"annotations[{place}]", path), []).append(row)
    return _Document(path=path, classes=_classes(content, path), images=_images(content, path), rows=rows)


def _require_few_values(text: bytes, path: Path) -> None:
    """Raise `DataError` for a text that would take many times its size in memory."""
    containers = text.count(b"[") + text.count(b"{")
    counted = (("lists and objects", containers, _MOST_CONTAINERS), ("commas", text.count(b","), _MOST_COMMAS))
    for kind, count, most in counted:
        if count > most:
            raise _refusal(path, f"it must hold at most {most} {kind}, got {count}: split it")


def _classes(content: _Row, path: Path) -> dict[Id, str]:
    """The name of each category; two may have one name, and are one class."""
    found: dict[Id, str] = {}
    for place, row in enumerate(_rows(content, "categories", path)):
        where = f"categories[{place}]"
        number, name = _id(row, "id", where, path), _text(row, "name", where, path)
        if found.setdefault(number, name) != name:
            raise _refusal(
                path, f"each category must have an id of its own, got {number} for {found[number]} and {name}"
            )
    return found


def _images(content: _Row, path: Path) -> list[_Image]:
    found: dict[Id, _Image] = {}
    names: set[str] = set()
    for place, row in enumerate(_rows(content, "images", path)):
        where = f"images[{place}]"
        number, name = _id(row, "id", where, path), _text(row, "file_name", where, path)
        if number in found or name in names:
            raise _refusal(path, f"each image must be there once, got {number} ({name}) again")
        sides = row.get("width"), row.get("height")
        width, height = (side if isinstance(side, int) and side > 0 else None for side in sides)
        size = None if width is None or height is None else (width, height)
        found[number] = _Image(id=number, name=name, path=_inner_path(name), size=size)
        names.add(name)
    return list(found.values())


def _inner_path(name: str) -> str:
    """A path below a folder, with slashes; empty if it is none."""
    path = name.replace("\\", "/").removeprefix("./")
    return path if is_inside(path) else ""


def _rows(content: _Row, name: str, path: Path, *, is_needed: bool = True) -> list[_Row]:
    rows = content.get(name, None if is_needed else [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _refusal(path, f"it must hold a list of objects called {name}")
    return rows


def _id(row: _Row, name: str, where: str, path: Path) -> Id:
    value = row.get(name)
    if not _is_id(value):
        raise _refusal(path, f"{where}.{name} must be a whole number or a text, got {value}")
    return value


def _text(row: _Row, name: str, where: str, path: Path) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _refusal(path, f"{where}.{name} must be a text that is not empty, got {value}")
    return value.strip()


def _is_id(value: object) -> TypeGuard[Id]:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is not a file of boxes of COCO: {visible(reason, _LONGEST_REASON)}")
