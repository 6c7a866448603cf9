"""Open a folder of images with boxes in any of the formats of `FORMATS`, which is recognized by what lies there."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.models.data.boxes.boxed import BoxedData, BoxedImages
from mbexport.models.data.boxes.class_order import ClassOrder
from mbexport.models.data.boxes.coco import find_coco
from mbexport.models.data.boxes.gather import Gathered, Keys, gather, in_order
from mbexport.models.data.boxes.image_files import ImageFiles
from mbexport.models.data.boxes.problems import BoxProblems, require_few_bad
from mbexport.models.data.boxes.stated import BoxFormat, Found, Source
from mbexport.models.data.boxes.voc import find_voc
from mbexport.models.data.boxes.yolo import find_yolo
from mbexport.models.data.imageset import TEST_FRACTION, stratified_split
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.passed_folders import is_delivered
from mbexport.models.data.splits import Part

__all__ = ["FORMATS", "BoxProblems", "BoxedData", "BoxedImages", "open_boxed", "require_few_bad"]

FORMATS: Final = (
    BoxFormat(title="Pascal VOC", sign="Annotations/*.xml, or .xml beside images", find=find_voc),
    BoxFormat(title="COCO", sign="annotations/*.json, or a .json beside images", find=find_coco),
    BoxFormat(title="YOLO", sign="labels/*.txt, or .txt beside images", find=find_yolo),
)
_EVALUATED: Final = (Part.TEST, Part.VALIDATION, Part.WHOLE)
_FEWEST: Final = 2  # images that can be split


def open_boxed(root: Path, classes_file: Path | None = None, *, follow_links: bool = False) -> BoxedData:
    """The images with boxes in the folder `root`; annotations are read, and of images the headers.

    The order of classes is that of a classes file, else of the data itself if it numbers them (YOLO), else of their
    names. With `follow_links` files and folders may be links to anywhere. Raises `DataError` if the folder cannot be
    used: it holds boxes in no format or in two, a part has none, or a class has none that can be used.
    """
    if not root.is_dir():
        raise DataError(f"--data must be a folder of images with boxes, got {root}")
    source = _recognized(DataFolder(root=root, follow_links=follow_links)).read()
    keys = Keys()
    stated = {part: gather(images, source.files, keys) for part, images in source.parts.items()}
    order = source.order(keys.found, classes_file)
    parts = {part: in_order(gathered, keys, order) for part, gathered in stated.items()}
    problems = {part: gathered.notes.tally.problems() for part, gathered in parts.items()}
    _require_boxes(root, parts, order, BoxProblems.joined(problems.values()))
    _require_apart(root, parts, source.files)
    return _boxed_data(root, source, parts, order, problems)


def _recognized(folder: DataFolder) -> Found:
    """The one format in which there are boxes. Raises `DataError` for none, and for two."""
    found = {each.title: at for each in FORMATS if (at := each.find(folder)) is not None}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        said = " and ".join(f"{title} ({at.where})" for title, at in found.items())
        raise DataError(f"{folder.root} must hold boxes in one format, got {said}: move one of them out")
    if is_delivered(folder.root):
        raise DataError(f"--data must be a folder of images with boxes, got {folder.root}, the output of a run")
    legal = "; ".join(f"{each.title} ({each.sign})" for each in FORMATS)
    raise DataError(f"{folder.root} must hold images and their boxes as {legal}; got none of these{_hint(folder)}")


def _hint(folder: DataFolder) -> str:
    """The question whether the folder inside is meant, as archives often hold one."""
    names = folder.survey(folder.root, with_files=False).names
    for name in names if len(names) == 1 else ():
        inner = DataFolder(root=folder.root / name, follow_links=folder.follow_links)
        if any(each.find(inner) for each in FORMATS):
            return f": is --data {shown(str(inner.root))} meant?"
    return ""


def _require_boxes(root: Path, parts: Mapping[Part, Gathered], order: ClassOrder, problems: BoxProblems) -> None:
    """Raise `DataError` for a part without a box, and for a class without one."""
    first = f"; first: {problems.listed[0]}" if problems else ""
    counts = np.zeros(len(order.labels), np.int64)
    for part, gathered in parts.items():
        own = sum(map(len, gathered.boxes))
        if not own:
            where = root if part is Part.WHOLE else f"the part {part} of {root}"
            raise DataError(
                f"{where} must hold a box that can be used, got none in {len(gathered.boxes)} images{first}"
            )
        counts += sum(np.bincount(each.classes, minlength=len(counts)) for each in gathered.boxes)
    if order.is_found and not counts.all():
        lone = shown(order.labels[int(counts.argmin())])
        raise DataError(f"class {lone} must have a box that can be used, got none{first}")


def _require_apart(root: Path, parts: Mapping[Part, Gathered], files: ImageFiles) -> None:
    """Raise `DataError` for an image in two parts: what is tested on must not be learned from."""
    seen: dict[int, Part] = {}
    for part, gathered in parts.items():
        for number in gathered.numbers.tolist():
            if seen.setdefault(number, part) is not part:
                legal = f"must hold other images in {part} than in {seen[number]}"
                raise DataError(f"{root} {legal}, got {shown(files.names[number])} in both")


def _boxed_data(
    root: Path, source: Source, parts: Mapping[Part, Gathered], order: ClassOrder, problems: Mapping[Part, BoxProblems]
) -> BoxedData:
    def images_of(part: Part) -> BoxedImages:
        return BoxedImages(images=source.files.images(parts[part].numbers), boxes=parts[part].boxes)

    evaluated = next(part for part in (*_EVALUATED, Part.TRAIN) if part in parts)
    puts_aside = Part.VALIDATION in parts and Part.TEST in parts

    def split(seed: int) -> tuple[BoxedImages, BoxedImages]:
        if Part.WHOLE in parts:
            return _split_by_seed(images_of(Part.WHOLE), root, seed)
        if Part.TRAIN not in parts:
            raise DataError(f"{root} must hold a part to learn from or to calibrate on, called train, got none")
        return images_of(Part.TRAIN), images_of(evaluated)

    used = {number for gathered in parts.values() for number in gathered.numbers.tolist()}
    listed = [str(problem) for each in problems.values() for problem in each.listed]
    lines = [*_lines(parts), source.files.fingerprint, *listed]
    return BoxedData(
        name=shown(root.resolve().name),
        class_names=order.labels,
        fingerprint=_hash(order.labels, lines),
        split=split,
        validation=lambda: images_of(Part.VALIDATION) if puts_aside else None,
        evaluation=lambda _seed: images_of(evaluated),
        contents=lambda: _hash(order.labels, [*_lines(parts), *_contents(source.files, parts)]),
        problems_of=problems,
        left_out=source.left_out.and_of(source.files.left_out(used)),
        class_roots=source.roots,
    )


def _split_by_seed(boxed: BoxedImages, root: Path, seed: int) -> tuple[BoxedImages, BoxedImages]:
    """A training and a test set, three to one among the images whose rarest class is the same.

    A class that few images show so comes into both. Raises `DataError` for fewer than two images, and if all boxes
    come into one of the sets.
    """
    classes = [np.unique(each.classes) for each in boxed.boxes]
    images_with = np.bincount(np.concatenate(classes)) if classes else np.zeros(0, np.int64)
    rarest = [int(each[images_with[each].argmin()]) if len(each) else -1 for each in classes]
    train, test = stratified_split(np.array(rarest, np.int64), test_fraction=TEST_FRACTION, seed=seed)
    parts = boxed.subset(train), boxed.subset(test)
    if not all(any(map(len, part.boxes)) for part in parts):
        raise DataError(f"{root} must hold at least {_FEWEST} images of a class to split off a test set, got 1 of each")
    return parts


def _lines(parts: Mapping[Part, Gathered]) -> list[str]:
    """A hash of each part's boxes, in the order of its images."""
    found = []
    for part, gathered in parts.items():
        digest = hashlib.sha256()
        for boxes in gathered.boxes:
            values: Sequence[tuple[NDArray[np.generic], str]] = (
                (boxes.corners, "<f4"),
                (boxes.classes, "<i8"),
                (boxes.is_difficult, "?"),
            )
            digest.update(b"%d\0" % len(boxes) + b"".join(array.astype(kind).tobytes() for array, kind in values))
        found.append(f"{part}\0{digest.hexdigest()}")
    return found


def _contents(files: ImageFiles, parts: Mapping[Part, Gathered]) -> list[str]:
    return [files.contents(gathered.numbers) for gathered in parts.values()]


def _hash(labels: tuple[str, ...], lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join([repr(labels), *lines]).encode("utf-8", "surrogateescape")).hexdigest()
