"""Labelled images that are read one at a time, their subsets, splits, and batches of pixels.

The modules that open data (`open`, `folder`, `tfds`, `shards`) return the two values defined here.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.models.data.boxes.problems import BoxProblems
from mbexport.models.data.lazy_names import names_at
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.splits import Part
from mbexport.models.detection.boxes import Boxes
from mbexport.models.preprocess import Pixels, Preprocess

TEST_FRACTION: Final = 0.25
# Decoding releases the interpreter lock. A few more threads than cores hide slow disks, many more only wait.
_FEWEST_READERS, _MOST_READERS = 4, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Labelled images: `labels` is int64 of shape (n,), `names` identifies each image, `read(i)` returns it.

    It is RGB, or RGBA if it has an alpha. Names are a tuple, or made when they are asked for, where images are many.
    What decides the pixels behind the names is `source`, a fingerprint; it is empty where nothing is known of them.
    """

    labels: NDArray[np.int64]
    names: Sequence[str]
    read: Callable[[int], Image.Image]
    source: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, indices: NDArray[np.int64]) -> "ImageSet":
        """The images at `indices`, in that order."""
        read = self.read
        return ImageSet(
            labels=self.labels[indices],
            names=names_at(self.names, indices),
            read=lambda i: read(int(indices[i])),
            source=self.source,
        )

    def without(self, indices: Collection[int]) -> "ImageSet":
        """The images that are not at `indices`, in the same order."""
        if not indices:
            return self
        kept = np.ones(len(self), np.bool_)
        kept[list(indices)] = False
        return self.subset(np.flatnonzero(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set whose images are listed but not read: its classes, and a fingerprint that any change of it changes.

    `split(seed)` returns the training and the test set, `evaluation(seed)` the images to verify an artifact on.
    `contents()` reads everything and returns a hash that does not depend on place and time of writing. With
    `has_validation` the user put images aside (`val/`), on which training may choose its best epoch: those that
    `validation()` returns, or without it the test set. Of a folder, the folders of classes lie in
    `class_roots`, and `left_out` is what lies there and is not read. Where images have objects in the place of a label,
    `objects` gives those of the images of these names, and `box_problems` are those of each part that cannot be used.
    """

    name: str
    class_names: tuple[str, ...]
    fingerprint: str
    is_photos: bool
    split: Callable[[int], tuple[ImageSet, ImageSet]]
    evaluation: Callable[[int], ImageSet]
    contents: Callable[[], str]
    has_validation: bool = False
    validation: Callable[[], ImageSet] | None = None
    left_out: LeftOut = field(default_factory=LeftOut)
    class_roots: tuple[Path, ...] = ()
    objects: Callable[[Sequence[str]], tuple[Boxes, ...]] | None = None
    box_problems: Mapping[Part, BoxProblems] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """Images whose labels mean nothing; `fingerprint`, `contents()` and `left_out` as of a `DataSet`."""

    images: ImageSet
    fingerprint: str
    contents: Callable[[], str]
    left_out: LeftOut


@cache
def reader_pool() -> ThreadPoolExecutor:
    """The threads that decode images, made once. A task of theirs must not wait for another one."""
    cores = os.cpu_count() or 1
    return ThreadPoolExecutor(min(max(cores, _FEWEST_READERS), _MOST_READERS), thread_name_prefix="read-images")


def iter_pixels(
    images: ImageSet, preprocess: Preprocess, *, batch: int = 32, pixels_of: Callable[[int], Pixels] | None = None
) -> Iterator[Pixels]:
    """Yield the images in order, as uint8 batches of shape (<= batch, *preprocess.shape), one batch in memory.

    `pixels_of` gives the pixels of an image where they have been decoded before.
    """

    def load(index: int) -> Pixels:
        return preprocess.pixels(images.read(index))

    for start in range(0, len(images), batch):
        yield np.stack(list(reader_pool().map(pixels_of or load, range(start, min(start + batch, len(images))))))


def stratified_split(
    labels: NDArray[np.int64], *, test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices of a training and a test part. Each class keeps its share, with at least one image on each side."""
    rng = np.random.default_rng(seed)
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = min(max(1, round(len(members) * test_fraction)), len(members) - 1)
        test.append(members[:held_out])
        train.append(members[held_out:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def split_by_seed(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    """A training and a test set out of `images`, three to one in each class."""
    train, test = stratified_split(images.labels, test_fraction=TEST_FRACTION, seed=seed)
    return images.subset(train), images.subset(test)
