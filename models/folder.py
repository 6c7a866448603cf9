"""Turns a folder of images into labelled sets of images, read one at a time.

A folder holds one sub-folder a class. If it holds `train/` and `val/` those are the two sets; else it is split,
seeded and class by class. Class order is the sorted folder names, or the order of a classes file (first word of
a line: folder name; the rest: label).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mbexport.errors import DataError
from mbexport.models.imageset import Data, ImageSet, split_by_seed
from mbexport.models.listing import Listing, list_images, require_inside, sub_folders


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
