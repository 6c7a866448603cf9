"""Which class of the scores a box is of: by the name that stands beside it, or by its number."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import DataError
from mbexport.models.data.classes_file import Classes, read_classes, read_labels

Key = str | int  # the name of a box's class, or its number
NO_CLASS: Final = -1  # of a box with neither


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedClasses:
    """The `labels` of numbered classes, from 0 on, and the file that names them."""

    source: Path
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOrder:
    """The `labels` of classes in the order of the scores, and the place of each class that boxes may be of.

    If `is_found` the classes are those that boxes were found to be of: each needs one that can be used.
    """

    labels: tuple[str, ...]
    places: Mapping[Key, int]
    is_found: bool


def order_by_name(keys: Collection[Key], classes_file: Path | None) -> ClassOrder:
    """The order of a classes file, whose names are those beside boxes; without one the names in their order.

    Raises `DataError` for a file that cannot be read, or a name that cannot be a label.
    """
    names = {key for key in keys if isinstance(key, str)}
    classes = Classes.of_folders(names) if classes_file is None else read_classes(classes_file, names, least=1)
    places: dict[Key, int] = {name: place for place, name in enumerate(classes.folders)}
    return ClassOrder(labels=classes.labels, places=places, is_found=classes_file is None)


def order_by_number(keys: Collection[Key], classes_file: Path | None, own: NamedClasses | None) -> ClassOrder:
    """The order of a classes file, else that of the data's own names: the first class has the number 0.

    Raises `DataError` without either, for a file that cannot be read, and where boxes are numbered from 1.
    """
    if classes_file is not None:
        own = NamedClasses(source=classes_file, labels=read_labels(classes_file, least=1))
    if own is None:
        raise DataError("boxes whose classes are numbers need names: give --classes FILE, with a class a line")
    labels = own.labels
    numbers = {key for key in keys if isinstance(key, int)}
    if numbers and (min(numbers), max(numbers)) == (1, len(labels)):
        raise DataError(
            f"boxes must have classes from 0 to {len(labels) - 1}, as {own.source} names {len(labels)}, "
            f"got 1 to {len(labels)}: write them anew from 0, or name a class 0 without boxes first (--classes)"
        )
    return ClassOrder(labels=labels, places={place: place for place in range(len(labels))}, is_found=False)
