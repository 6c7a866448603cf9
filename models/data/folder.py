"""Open a folder of images as labelled sets of images, read one at a time.

A folder holds one sub-folder a class. If it holds `train/` and `val/`, or other parts of split data (`splits`), those
are the sets; otherwise it is split, seeded and class by class. Class order is the sorted folder names, or the order of
a classes file. Whatever is not read is known as `left_out`, and a class without an image is refused.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.data.classes_file import Classes, read_classes
from mbexport.models.data.imageset import DataSet, ImageSet, Unlabelled, split_by_seed
from mbexport.models.data.left_out import LeftOut, PassedOver
from mbexport.models.data.listing import DataFolder, Listing, Survey
from mbexport.models.data.names import shown
from mbexport.models.data.passed_folders import is_delivered, is_system_folder
from mbexport.models.data.splits import Part, split_parts

_OTHER_FOLDER: Final = "it is no part of the split data"
_EVALUATED: Final = (Part.TEST, Part.VALIDATION, Part.WHOLE)
# Data that was always read so: its hash says nothing of parts.
_WITHOUT_MARKS: Final = ((Part.WHOLE,), (Part.TRAIN, Part.VALIDATION))
_MIN_CLASSES: Final = 2


def open_folder(root: Path, classes_file: Path | None, *, follow_links: bool = False) -> DataSet:
    """The data set in `root`, labelled by its sub-folders.

    With `follow_links` files and folders may be links to anywhere. Raises `DataError` if the folder cannot be used.
    """
    if not root.is_dir():
        legal = "digits, tfds:NAME, wds:DIR, tfrecord:DIR or a folder with one sub-folder a class"
        raise DataError(f"--data must be {legal}, got {root}")
    folder = DataFolder(root=root, follow_links=follow_links)
    parts, passed = _parts(folder)
    surveys = {part: folder.survey(path) for part, path in parts.items()}
    classes = _classes(parts, surveys, classes_file)
    listings = {part: _list_part(folder, path, surveys[part], classes) for part, path in parts.items()}
    for part, path in parts.items():
        passed += _beside(folder, path, surveys[part], classes)
    found = (each for listing in listings.values() for each in listing.left_out.values())
    left_out = reduce(LeftOut.and_of, found, LeftOut.of(sorted(passed, key=lambda each: each.name)))
    return _data_set(root, tuple(parts.values()), classes, listings, left_out)


def open_unlabelled(root: Path, *, follow_links: bool = False) -> Unlabelled:
    """The images in `root` and one folder below it; their labels only tell the folders apart.

    With `follow_links` files and folders may be links to anywhere. Raises `DataError` if there are no images.
    """
    if not root.is_dir():
        raise DataError(f"--calibration must be a folder of images, got {root}")
    folder = DataFolder(root=root, follow_links=follow_links)
    survey = folder.survey(root, with_files=False)
    # A folder of the system holds no image, but had a number of its own before: labels are part of the hash.
    names = tuple(sorted([*survey.names, *filter(is_system_folder, survey.others)]))
    numbered = {0: root} | {place: root / name for place, name in enumerate(names, 1) if name not in survey.others}
    listing = folder.list_images(numbered)
    left_out = reduce(LeftOut.and_of, listing.left_out.values(), LeftOut())
    if not listing.names:
        raise DataError(
            f"{root} holds no image that can be read, neither in itself nor one folder below: it holds {left_out}"
        )
    return Unlabelled(
        images=listing.images(),
        fingerprint=_hash(Classes(folders=names, labels=names), [listing.fingerprint]),
        contents=listing.contents,
        left_out=left_out,
    )


def _parts(folder: DataFolder) -> tuple[dict[Part, Path], list[PassedOver]]:
    """The folders that hold classes: the parts of split data, or the root; and what lies beside."""
    survey = folder.survey(folder.root)
    parts = split_parts(folder.root, survey.names)
    if not parts:
        if is_delivered(folder.root):
            raise DataError(f"--data must be a folder of images, got {folder.root}, which is the output of a run")
        return {Part.WHOLE: folder.root}, []
    for name in parts.values():
        folder.admit(folder.root / name)
    if Part.TEST in parts and not folder.survey(folder.root / parts[Part.TEST], with_files=False).names:
        parts = _without_test(parts)
    beside = sorted({*survey.names, *survey.others} - set(parts.values()))
    passed = [folder.passed_folder(folder.root / name, _OTHER_FOLDER) for name in beside]
    return {part: folder.root / name for part, name in parts.items()}, [*survey.files, *passed]


def _without_test(parts: Mapping[Part, str]) -> dict[Part, str]:
    """The parts without a test part whose images nobody has labelled: a part that is then alone is the whole data."""
    others: dict[Part, str] = {part: name for part, name in parts.items() if part is not Part.TEST}
    return others if len(others) > 1 else {Part.WHOLE: next(iter(others.values()))}


def _classes(parts: Mapping[Part, Path], surveys: Mapping[Part, Survey], classes_file: Path | None) -> Classes:
    """The classes of all parts. Raises `DataError` for fewer than two, and for folders that are none of the file's."""
    found = {name for survey in surveys.values() for name in survey.names}
    first = next(iter(parts.values()))
    if classes_file is not None:
        classes = read_classes(classes_file, found.union(*(survey.others for survey in surveys.values())))
        for part, path in parts.items():
            unknown = sorted(set(surveys[part].names) - set(classes.folders))
            if unknown:
                raise DataError(f"{path} has a sub-folder that the classes file does not name: {shown(unknown[0])}")
        return classes
    if len(found) < _MIN_CLASSES:
        got = f"one class only ({shown(min(found))})" if found else "no sub-folder"
        hint = (
            f": is --data {shown(str(first / min(found)))} meant?"
            if found and _holds_folders(first / min(found))
            else ""
        )
        raise DataError(f"{first} must hold at least 2 sub-folders, one a class, got {got}{hint}")
    return Classes.of_folders(found)


def _holds_folders(path: Path) -> bool:
    try:
        return any(each.is_dir() for each in path.iterdir())
    except OSError:
        return False


def _beside(folder: DataFolder, path: Path, survey: Survey, classes: Classes) -> list[PassedOver]:
    """What lies beside the folders of classes in the part at `path`."""
    others = sorted(set(survey.others) - set(classes.folders))
    return [*survey.files, *(folder.passed_folder(path / name, survey.others[name]) for name in others)]


def _list_part(folder: DataFolder, part: Path, survey: Survey, classes: Classes) -> Listing:
    """Every image file below `part` with its class index, in the order of the classes, then of the names.

    Raises `DataError` for a class folder without an image, or if there is but one.
    """
    there = {*survey.names, *survey.others}
    folders = {index: part / name for index, name in enumerate(classes.folders) if name in there}
    listing = folder.list_images(folders)
    counts = np.bincount(listing.labels, minlength=len(classes.folders))
    for index, path in folders.items():
        if not counts[index]:
            raise DataError(_empty(classes.folders[index], path, listing.left_out[index]))
    if len(folders) < _MIN_CLASSES:
        raise DataError(f"{part} must hold images of at least 2 classes, got {len(folders)}")
    return listing


def _empty(name: str, path: Path, left_out: LeftOut) -> str:
    """What to say of the class folder at `path`, which holds no image but what was `left_out`."""
    said = f"class {shown(name)} must hold an image that can be read, got {left_out} in {path}"
    if not left_out:
        return f"{said}: remove the folder (--classes may name a class without a folder)"
    first = left_out.listed[0]
    return f"{said}, the first {first.name}: {first.reason}"


def _data_set(
    root: Path, roots: tuple[Path, ...], classes: Classes, listings: Mapping[Part, Listing], left_out: LeftOut
) -> DataSet:
    evaluated = next(listings[part] for part in _EVALUATED if part in listings)
    has_test, has_validation = Part.TEST in listings, Part.VALIDATION in listings

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        if Part.WHOLE in listings:
            return _split_by_seed(evaluated.images(), classes, root, seed)
        if Part.TRAIN not in listings:
            raise DataError(f"{root} must hold a part to learn from or to calibrate on, called train/, got none")
        return listings[Part.TRAIN].images(), evaluated.images()

    marks = () if tuple(listings) in _WITHOUT_MARKS else tuple(listings)
    return DataSet(
        name=shown(root.resolve().name),
        class_names=classes.labels,
        fingerprint=_hash(classes, [*(listing.fingerprint for listing in listings.values()), *marks]),
        is_photos=True,
        split=split,
        evaluation=lambda _seed: evaluated.images(),
        contents=lambda: _hash(classes, [*(listing.contents() for listing in listings.values()), *marks]),
        has_validation=has_validation,
        validation=listings[Part.VALIDATION].images if has_validation and has_test else None,
        left_out=left_out,
        class_roots=roots,
    )


def _split_by_seed(images: ImageSet, classes: Classes, root: Path, seed: int) -> tuple[ImageSet, ImageSet]:
    """A training and a test set. Raises `DataError` for a class with one image."""
    labels, counts = np.unique(images.labels, return_counts=True)
    if counts.min() < 2:
        lone = classes.folders[int(labels[counts.argmin()])]
        raise DataError(f"class {lone} must have at least 2 images to split off a test set, got 1 in {root}")
    return split_by_seed(images, seed)


def _hash(classes: Classes, parts: Iterable[str]) -> str:
    """The hash of the classes and of the hash of each listing."""
    # Written as a name of an earlier version: another text would make known data look new.
    text = f"_Classes(folders={classes.folders!r}, labels={classes.labels!r})"
    return hashlib.sha256("\n".join([text, *parts]).encode("utf-8", "surrogateescape")).hexdigest()
