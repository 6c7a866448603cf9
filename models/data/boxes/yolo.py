"""Read boxes of YOLO: a text file an image, with lines `class x y width height`, in fractions of the image.

The class is a number from 0 on, x and y are the centre. An image without such a file has no object.
"""

import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.files import open_regular
from mbexport.models.data.boxes.class_order import ClassOrder, Key, order_by_number
from mbexport.models.data.boxes.image_files import ImageFiles, without_ending
from mbexport.models.data.boxes.lists import PartList, read_lists
from mbexport.models.data.boxes.places import (
    Annotations,
    Layout,
    Place,
    admit_all,
    files_in,
    find_layout,
    read_annotation,
)
from mbexport.models.data.boxes.stated import MOST_BYTES, Found, Source, StatedBox, StatedImage, number_in
from mbexport.models.data.boxes.yolo_names import CLASSES_FILE, find_names
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.names import shown
from mbexport.models.data.splits import Part

_ENDING: Final = ".txt"
_KIND: Final = Annotations(ending=_ENDING, folders=frozenset({"labels"}), is_alike=True, may_be_empty=True)
_CLASS: Final = re.compile(r"(\d{1,9})(\.0*)?")  # some tools write 3.0
_FIELDS: Final = 5
_LONGEST_LINE_BYTES: Final = 1000


def find_yolo(folder: DataFolder) -> Found | None:
    """The annotations of YOLO in a data folder."""
    layout = find_layout(folder, _KIND)
    if layout is None:
        return None
    first = next(iter(layout.places.values())).annotations.relative_to(folder.root).as_posix()
    return Found(where=f"{first}/*{_ENDING}".removeprefix("./"), read=lambda: _read(folder, layout))


def _read(folder: DataFolder, layout: Layout) -> Source:
    places = layout.places
    for place in places.values():
        admit_all(folder, place.images)
    files = ImageFiles(folder, (place.images for place in places.values()), beside=(_ENDING,))
    parts = {part: _stated(folder, files, place) for part, place in places.items()}
    lists = read_lists(folder, folder.root) if Part.WHOLE in places else {}
    if lists:
        parts = {part: _stated(folder, files, places[Part.WHOLE], listed) for part, listed in lists.items()}

    def order(keys: Collection[Key], classes_file: Path | None) -> ClassOrder:
        own = find_names(folder, [place.annotations for place in places.values()]) if classes_file is None else None
        return order_by_number(keys, classes_file, own)

    return Source(parts=parts, files=files, order=order, left_out=LeftOut.of(layout.passed), roots=layout.roots)


def _stated(
    folder: DataFolder, files: ImageFiles, place: Place, listed: PartList | None = None
) -> Iterator[StatedImage]:
    """The images in a place, or those that are listed, by name, and boxes without an image."""
    images, labels = files.alike(place.images), _labels(place, files)
    for stem in sorted({*images, *labels} if listed is None else listed.names):
        numbers, label = images.get(stem, ()), labels.get(stem)
        path = place.annotations / (label or f"{stem}{_ENDING}")
        if len(numbers) > 1 and label is not None:
            names = " and ".join(shown(files.names[number]) for number in numbers[:2])
            raise DataError(f"{path} must hold the boxes of one image, got {names}")
        boxes = _boxes(read_annotation(folder, path, limit_bytes=MOST_BYTES), path) if label is not None else ()
        name = path.relative_to(folder.root).as_posix()
        for number in numbers or (None,):
            yield StatedImage(file=name, image=number, wanted=f"image {stem}", boxes=boxes)


def _labels(place: Place, files: ImageFiles) -> dict[str, str]:
    """The names of the files of boxes, by what they are called without their ending."""
    found = {without_ending(name): name for name in files_in(place.annotations, _ENDING) if name != CLASSES_FILE}
    if not place.is_mixed:
        return found
    images = files.alike(place.images)
    return {stem: name for stem, name in found.items() if stem in images or _begins_with_a_box(place.images / name)}


def _begins_with_a_box(path: Path) -> bool:
    """Whether a text beside images is of boxes, and not a note or a list."""
    try:
        with open_regular(path, follow_links=True) as content:
            fields = content.readline(_LONGEST_LINE_BYTES).split()
    except OSError:
        return False
    return len(fields) == _FIELDS and not any(math.isnan(number_in(field.decode("latin-1"))) for field in fields)


def _boxes(content: bytes, path: Path) -> tuple[StatedBox, ...]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a file of boxes of YOLO: it is no text in UTF-8") from None
    return tuple(_box(number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _box(number: int, line: str) -> StatedBox:
    fields = line.split()
    matched = _CLASS.fullmatch(fields[0])
    values = [number_in(field) for field in fields[1:]] if len(fields) == _FIELDS else [math.nan] * 4
    x, y, width, height = values
    return StatedBox(
        place=f"line {number}",
        key=int(matched[1]) if matched else fields[0],
        edges=(x - width / 2, y - height / 2, x + width / 2, y + height / 2),
        text=" ".join(fields),
    )
