"""What annotations say of images, in the words of any format, before it is checked; and what a format is."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.models.data.boxes.class_order import ClassOrder, Key
from mbexport.models.data.boxes.image_files import ImageFiles
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.splits import Part

MOST_BYTES: Final = 1 << 24  # of the annotation of one image: a thousand objects take a few hundred kB


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedBox:
    """A box as it is written: `edges` are left, top, right and bottom, NaN where there is no number.

    Errors call it by its `place` in the file ("box 3"), and quote its `text`. `key` tells its class.
    """

    place: str
    key: Key
    edges: tuple[float, float, float, float]
    text: str
    is_difficult: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedImage:
    """An image as its annotation in `file` describes it: which of the files it is, None for none; its size, its boxes.

    `wanted` is what is missing without it. `size` is width and height in pixels, None where nothing is said.
    Where boxes are in pixels, `first_px` is the left and topmost one as the format counts: 1 if left 1 means no
    pixel before, and the right edge's pixel belongs to the box. None says that boxes are in fractions of the image.
    """

    file: str
    image: int | None
    wanted: str
    boxes: tuple[StatedBox, ...]
    size: tuple[int, int] | None = None
    first_px: int | None = None


def number_in(text: str) -> float:
    """The number that a text is; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The annotations of each part of the data, which are read as they are asked for, and all images there.

    `order(keys, classes_file)` gives the order of classes, where `keys` are those of all boxes.
    """

    parts: Mapping[Part, Iterable[StatedImage]]
    files: ImageFiles
    order: Callable[[Collection[Key], Path | None], ClassOrder]
    left_out: LeftOut
    roots: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where annotations of a format lie, in words, and the function that reads them."""

    where: str
    read: Callable[[], Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFormat:
    """A row a format: its name, what it is recognized by, in words, and the function that does so."""

    title: str
    sign: str
    find: Callable[[DataFolder], Found | None]
