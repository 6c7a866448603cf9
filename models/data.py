"""Turns `digits` or a folder of images into labelled sets of images, read one at a time.

A folder holds one sub-folder a class. If it holds `train/` and `val/` those are the two sets; else it is split,
seeded and class by class. Class order is the sorted folder names, or the order of a classes file (first word of
a line: folder name; the rest: label).
"""

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import DataError
from mbexport.models.images import IMAGE_SUFFIXES, read_image
from mbexport.models.preprocess import Pixels, Preprocess

DIGITS: Final = "digits"
TEST_FRACTION: Final = 0.25
_READERS: Final = 4  # decoding releases the interpreter lock; more threads than this only wait for cores


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Labelled images: `labels` is int64 of shape (n,), `names` says which image each is, `read(i)` gives it as RGB."""

    labels: NDArray[np.int64]
    names: tuple[str, ...]
    read: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: NDArray[np.int64]) -> "ImageSet":
        """The images at `indices`, in that order."""
        read = self.read
        return ImageSet(
            labels=self.labels[indices],
            names=tuple(self.names[i] for i in indices),
            read=lambda i: read(int(indices[i])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data set that has been looked at but not read: its classes and a fingerprint of what it holds.

    `split()` gives the training and the test set, `evaluation()` the images to verify an artifact on.
    """

    name: str
    class_names: tuple[str, ...]
    fingerprint: str
    is_photos: bool
    split: Callable[[int], tuple[ImageSet, ImageSet]]
    evaluation: Callable[[int], ImageSet]


def open_data(source: str, *, classes_file: Path | None = None) -> Data:
    """The data set that `--data SOURCE` names. Raises `DataError` if it cannot be used."""
    if source == DIGITS:
        if classes_file is not None:
            raise DataError("a classes file goes with a folder of images, got one for digits")
        return _open_digits()
    return _open_folder(Path(source), classes_file)


def open_unlabelled(root: Path) -> tuple[ImageSet, str]:
    """The images in `root` and one folder below it, and their fingerprint; labels tell only the folders apart.

    Raises `DataError` if there are none.
    """
    if not root.is_dir():
        raise DataError(f"calibration data must be a folder of images, got {root}")
    folders = [root, *sorted(entry for entry in root.iterdir() if _is_class_folder(entry))]
    files = [(file, index) for index, folder in enumerate(folders) for file in _image_files(folder)]
    if not files:
        raise DataError(f"{root} holds no image: expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}")
    names = tuple(folder.name for folder in folders)
    return _image_set(files), _fingerprint([files], [root], _Classes(folders=names[1:], labels=names[1:]))


def iter_pixels(images: ImageSet, preprocess: Preprocess, *, batch: int = 32) -> Iterator[Pixels]:
    """The images in order, as uint8 batches of shape (<= batch, resolution, resolution, 3); memory stays flat."""

    def load(index: int) -> Pixels:
        return preprocess.pixels(images.read(index))

    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(images), batch):
            yield np.stack(list(pool.map(load, range(start, min(start + batch, len(images))))))


def find_unreadable(images: ImageSet) -> list[str]:
    """One line for each image that cannot be decoded to its last pixel, in the set's order."""

    def complaint(index: int) -> str | None:
        try:
            images.read(index)
        except DataError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(_READERS) as pool:
        return [line for line in pool.map(complaint, range(len(images))) if line is not None]


def stratified_split(
    labels: NDArray[np.int64], *, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a training and a test part, class by class: each class keeps its share, at least one on each side."""
    rng = np.random.default_rng(seed)
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = min(max(1, round(len(members) * test_fraction)), len(members) - 1)
        test.append(members[:held_out])
        train.append(members[held_out:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def _open_digits() -> Data:
    spec = importlib.util.find_spec("sklearn")  # finds the file without importing the library
    if spec is None or spec.origin is None:
        raise DataError("digits need scikit-learn, which is not installed")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"

    def load() -> ImageSet:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # Published as counts 0..16 of 4x4 blocks (UCI "Optical Recognition of Handwritten Digits").
        grey = np.round(bunch.images * (255 / 16)).astype(np.uint8)
        return ImageSet(
            labels=bunch.target.astype(np.int64),
            names=tuple(f"digit-{i:04d}" for i in range(len(grey))),
            read=lambda i: Image.fromarray(grey[i]).convert("RGB"),
        )

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        images = load()
        train, test = stratified_split(images.labels, test_fraction=TEST_FRACTION, seed=seed)
        return images.subset(train), images.subset(test)

    return Data(
        name=DIGITS,
        class_names=tuple("0123456789"),
        fingerprint=hashlib.sha256(file.read_bytes()).hexdigest(),
        is_photos=False,
        split=split,
        evaluation=lambda seed: split(seed)[1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    folders: tuple[str, ...]
    labels: tuple[str, ...]


def _open_folder(root: Path, classes_file: Path | None) -> Data:
    if not root.is_dir():
        raise DataError(f"data must be `{DIGITS}` or a folder with one sub-folder a class, got {root}")
    is_split = (root / "train").is_dir() and (root / "val").is_dir()
    parts = [root / "train", root / "val"] if is_split else [root]
    classes = _classes(parts, classes_file)
    files = [_list_files(part, classes) for part in parts]

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        if is_split:
            return _image_set(files[0]), _image_set(files[1])
        images = _image_set(files[0])
        labels, counts = np.unique(images.labels, return_counts=True)
        if counts.min() < 2:
            lone = classes.folders[int(labels[counts.argmin()])]
            raise DataError(f"class {lone} must have at least 2 images to split off a test set, got 1 in {root}")
        train, test = stratified_split(images.labels, test_fraction=TEST_FRACTION, seed=seed)
        return images.subset(train), images.subset(test)

    return Data(
        name=root.resolve().name,
        class_names=classes.labels,
        fingerprint=_fingerprint(files, parts, classes),
        is_photos=True,
        split=split,
        evaluation=lambda _seed: _image_set(files[-1]),
    )


def _classes(parts: list[Path], classes_file: Path | None) -> _Classes:
    if classes_file is not None:
        return _read_classes(classes_file)
    names = sorted({entry.name for part in parts for entry in part.iterdir() if _is_class_folder(entry)})
    if len(names) < 2:
        found = f"one class only ({names[0]})" if names else "no sub-folder"
        raise DataError(f"{parts[0]} must hold at least 2 sub-folders, one a class, got {found}")
    return _Classes(folders=tuple(names), labels=tuple(names))


def _read_classes(file: Path) -> _Classes:
    try:
        lines = [line.split(maxsplit=1) for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the classes file {file} cannot be read: {error}") from None
    folders = tuple(words[0] for words in lines)
    if len(folders) < 2 or len(set(folders)) != len(folders):
        raise DataError(f"the classes file {file} must name at least 2 different folders, got {len(set(folders))}")
    return _Classes(folders=folders, labels=tuple(words[-1].strip() for words in lines))


def _is_class_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _list_files(part: Path, classes: _Classes) -> list[tuple[Path, int]]:
    """Every image file below `part` with its class index, in the order of the classes, then of the names."""
    unknown = sorted({entry.name for entry in part.iterdir() if _is_class_folder(entry)} - set(classes.folders))
    if unknown:
        raise DataError(f"{part} has a sub-folder that the classes file does not name: {unknown[0]}")
    files = [
        (file, index)
        for index, folder in enumerate(classes.folders)
        if (part / folder).is_dir()
        for file in _image_files(part / folder)
    ]
    if not files:
        raise DataError(f"{part} holds no image: expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}")
    present = {index for _, index in files}
    if len(present) < 2:
        raise DataError(f"{part} must hold images of at least 2 classes, got one class only")
    return files


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    )


def _image_set(files: list[tuple[Path, int]]) -> ImageSet:
    return ImageSet(
        labels=np.array([index for _, index in files], dtype=np.int64),
        names=tuple(f"{file.parent.name}/{file.name}" for file, _ in files),
        read=lambda i: read_image(files[i][0]),
    )


def _fingerprint(files: list[list[tuple[Path, int]]], parts: list[Path], classes: _Classes) -> str:
    """A hash of the file names, sizes, times of change and labels: what decides whether a stage must run again."""
    digest = hashlib.sha256(repr(classes).encode())
    for part, entries in zip(parts, files, strict=True):
        for file, index in entries:
            try:
                state = file.stat()
            except OSError as error:
                raise DataError(f"{file} cannot be read: {error.strerror}") from None
            line = f"{file.relative_to(part)}\0{index}\0{state.st_size}\0{state.st_mtime_ns}\n"
            digest.update(os.fsencode(line))
        digest.update(b"\n")
    return digest.hexdigest()
