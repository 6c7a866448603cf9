"""Turn what annotations state into boxes of images as they are read, and leave out what cannot be used."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.escaping.terminal import visible
from mbexport.models.data.boxes.class_order import NO_CLASS, ClassOrder, Key
from mbexport.models.data.boxes.headers import Header, read_header, turned_as_shown
from mbexport.models.data.boxes.image_files import ImageFiles
from mbexport.models.data.boxes.problems import MOST_LISTED, BoxProblem, Fault, ProblemTally
from mbexport.models.data.boxes.stated import StatedImage
from mbexport.models.data.imageset import reader_pool
from mbexport.models.data.names import shown
from mbexport.models.detection.boxes import Boxes, Corners, areas, clipped

# How far a box may reach beyond the image and is cut off: tools round, and count from 0 or from 1.
_TOLERANCE_PX: Final = 2
_TOLERANCE: Final = 0.01
_AT_ONCE: Final = 256  # images whose headers are read by several threads
_MOST_SHOWN: Final = 60  # letters of what anybody wrote

_LEGAL: Final[Mapping[Fault, str]] = MappingProxyType(
    {
        Fault.NO_NUMBERS: "must be four numbers",
        Fault.SWAPPED: "must have its left before its right and its top above its bottom",
        Fault.NO_AREA: "must have an area",
        Fault.OUTSIDE: "must lie in the image",
    }
)

_Floats = NDArray[np.float64]


class Keys:
    """The classes of boxes, numbered as they are found."""

    def __init__(self) -> None:
        self.found: dict[Key, int] = {}

    def number(self, key: Key) -> int:
        """The number of a class."""
        return self.found.setdefault(key, len(self.found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is noted of a part while its boxes are read: problems, and where the first boxes of each class lie."""

    tally: ProblemTally = field(default_factory=ProblemTally)
    places: dict[Key, list[tuple[str, str]]] = field(default_factory=dict)

    def place(self, key: Key, file: str, place: str) -> None:
        """Remember that a box of a class, one that can be used, lies at that place of the file."""
        places = self.places.setdefault(key, [])
        if len(places) < MOST_LISTED:
            places.append((file, place))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The images of a part, by their numbers, int64 (n,), the boxes of each, and the notes on them.

    Classes are the numbers of `Keys`.
    """

    numbers: NDArray[np.int64]
    boxes: tuple[Boxes, ...]
    notes: Notes


def gather(stated: Iterable[StatedImage], files: ImageFiles, keys: Keys) -> Gathered:
    """The images and the boxes of a part. A few images are in memory at a time.

    Raises `DataError` where two annotations are of one image.
    """
    found: dict[int, Boxes] = {}
    notes = Notes()
    for image, header in _with_headers(stated, files):
        if image.image in found:
            raise DataError(f"{image.file} must be the only annotation of {image.wanted}, got a second one")
        boxes = _boxes_of(image, header, keys, notes)
        if boxes is not None and image.image is not None:
            found[image.image] = boxes
    numbers = sorted(found)
    boxes_in_order = tuple(found[number] for number in numbers)
    return Gathered(numbers=np.array(numbers, np.int64), boxes=boxes_in_order, notes=notes)


def in_order(part: Gathered, keys: Keys, order: ClassOrder) -> Gathered:
    """The same part with the classes of `order`; boxes of others are left out, and noted as problems."""
    places = np.array([order.places.get(key, -1) for key in keys.found], np.int64)
    counts = np.zeros(len(places), np.int64)
    for boxes in part.boxes:
        np.add.at(counts, boxes.classes, 1)
    for key, number in keys.found.items():
        if places[number] < 0 and counts[number]:
            _count_unknown(key, int(counts[number]), order, part.notes)

    def ordered(boxes: Boxes) -> Boxes:
        classes = places[boxes.classes]
        return replace(boxes, classes=classes).take(classes >= 0)

    return replace(part, boxes=tuple(map(ordered, part.boxes)))


def _count_unknown(key: Key, count: int, order: ClassOrder, notes: Notes) -> None:
    legal = f"must be of one of the {len(order.labels)} classes"
    listed = notes.places[key]
    for file, place in listed:
        notes.tally.add(
            BoxProblem(
                fault=Fault.UNKNOWN_CLASS,
                file=file,
                what=f"{place} {legal}",
                got="none" if key == NO_CLASS else _short(str(key)),
            )
        )
    notes.tally.count(Fault.UNKNOWN_CLASS, count - len(listed))


def _with_headers(stated: Iterable[StatedImage], files: ImageFiles) -> Iterator[tuple[StatedImage, Header | str]]:
    """Each image with its header, or with what is there instead."""

    def header_of(image: StatedImage) -> Header | str:
        if image.image is None:
            return "none"
        path = files.path(image.image)
        try:
            return read_header(path)
        except DataError as error:
            return "one that " + shown(" ".join(str(error).removeprefix(f"{path} ").split()))

    images = iter(stated)
    while batch := list(islice(images, _AT_ONCE)):
        yield from zip(batch, reader_pool().map(header_of, batch), strict=True)


def _boxes_of(image: StatedImage, header: Header | str, keys: Keys, notes: Notes) -> Boxes | None:
    """The boxes of an image that can be used; None if the image itself cannot be."""
    tally = notes.tally
    tally.checked += len(image.boxes)
    if isinstance(header, str):
        legal = f"{_short(image.wanted)} must be {'there' if image.image is None else 'readable'}"
        _count_all(image, Fault.NO_IMAGE, legal, header, tally)
        return None
    edges = np.array([box.edges for box in image.boxes], np.float64).reshape(-1, 4)
    corners = turned_as_shown(_fractions(edges, image, header), image.size, header)
    if corners is None:
        width, height = image.size or header.shown
        legal = f"the size that it states must be its image's, {header.width} x {header.height}"
        _count_all(image, Fault.OTHER_SIZE, legal, f"{width} x {height}", tally)
        return None
    with np.errstate(invalid="ignore", over="ignore"):  # of what is written as a number anything is possible
        cut = clipped(corners.astype(np.float32))
        checks = [*_checks_of_edges(edges, image.first_px or 0), _lies_outside(corners, cut, header)]
    return _usable(image, cut, checks, keys, notes)


def _usable(image: StatedImage, cut: Corners, checks: Sequence[NDArray[np.bool_]], keys: Keys, notes: Notes) -> Boxes:
    """The boxes, `cut` off at the image's border, that have none of the faults of `_LEGAL`, as `checks` tell."""
    is_good = np.ones(len(cut), np.bool_)
    for (fault, legal), is_bad in zip(_LEGAL.items(), checks, strict=True):
        for index in np.flatnonzero(is_bad & is_good):
            box = image.boxes[index]
            what = f"{box.place} {legal}"
            notes.tally.add(BoxProblem(fault=fault, file=image.file, what=what, got=_short(box.text)))
        is_good &= ~is_bad
    classes = [keys.number(box.key) for box in image.boxes]
    for index in np.flatnonzero(is_good):
        notes.place(image.boxes[index].key, image.file, image.boxes[index].place)
    return Boxes.of(cut, classes, [box.is_difficult for box in image.boxes]).take(is_good)


def _checks_of_edges(edges: _Floats, first_px: int) -> list[NDArray[np.bool_]]:
    """Which boxes have the first faults of `_LEGAL`, by their edges as they are written.

    One that begins and ends with the same pixel is what a click leaves, and has no area either.
    """
    sides = edges[:, 2:] - edges[:, :2]
    faults = ~np.isfinite(edges), sides + first_px < 0, sides <= 0
    return [np.asarray(each.any(axis=1)) for each in faults]


def _lies_outside(corners: _Floats, cut: Corners, header: Header) -> NDArray[np.bool_]:
    """Which boxes reach too far beyond the image, or have nothing in it once they are `cut` off at its border."""
    width, height = header.shown
    tolerance = np.maximum(_TOLERANCE, _TOLERANCE_PX / np.array([height, width] * 2))
    reach_beyond = ((corners < -tolerance) | (corners > 1 + tolerance)).any(axis=1)
    return np.asarray(reach_beyond | (areas(cut) <= 0))


def _fractions(edges: _Floats, image: StatedImage, header: Header) -> _Floats:
    """The corners (ymin, xmin, ymax, xmax) as fractions of the image that the annotation describes."""
    left, top, right, bottom = edges.T
    if image.first_px is None:
        return np.stack([top, left, bottom, right], axis=1)
    width, height = image.size or header.shown
    first = image.first_px
    return np.stack([(top - first) / height, (left - first) / width, bottom / height, right / width], axis=1)


def _count_all(image: StatedImage, fault: Fault, what: str, got: str, tally: ProblemTally) -> None:
    tally.checked += not image.boxes
    boxes = max(1, len(image.boxes))
    tally.add(BoxProblem(fault=fault, file=image.file, what=what, got=got, boxes=boxes))


def _short(text: str) -> str:
    return visible(shown(text), _MOST_SHOWN)
