"""Images with boxes as a data set like any other, whose images have objects in the place of a label."""

from collections.abc import Sequence
from pathlib import Path

from mbexport.models.data.boxes.boxed import BoxedData, BoxedImages
from mbexport.models.data.boxes.open import FORMATS, open_boxed, require_few_bad
from mbexport.models.data.imageset import DataSet, ImageSet
from mbexport.models.data.listing import DataFolder
from mbexport.models.detection.boxes import Boxes


def open_boxed_data(
    name: str, *, classes_file: Path | None = None, follow_links: bool = False, max_bad: float = 0.0
) -> DataSet:
    """The data set of the folder that `--data NAME` means, with the objects of its images.

    Raises `DataError` if it cannot be used, and if more than the fraction `max_bad` of its boxes cannot be.
    """
    data = open_boxed(Path(name), classes_file, follow_links=follow_links)
    require_few_bad(data.problems, max_bad)
    return data_set_of(data)


def holds_boxes(name: str, *, follow_links: bool = False) -> bool:
    """Whether `--data NAME` means a folder of images with boxes. Raises `DataError` for one that cannot be read."""
    folder = DataFolder(root=Path(name), follow_links=follow_links)
    return folder.root.is_dir() and any(each.find(folder) is not None for each in FORMATS)


def data_set_of(data: BoxedData) -> DataSet:
    """The same data set, whose sets hold images alone: `objects` gives the boxes of images by their names."""
    known: dict[str, Boxes] = {}

    def alone(boxed: BoxedImages) -> ImageSet:
        known.update(zip(boxed.images.names, boxed.boxes, strict=True))
        return boxed.images

    def split(seed: int) -> tuple[ImageSet, ImageSet]:
        train, test = data.split(seed)
        return alone(train), alone(test)

    def objects(names: Sequence[str]) -> tuple[Boxes, ...]:
        return tuple(known[name] for name in names)

    validation = data.validation()
    aside = None if validation is None else alone(validation)
    return DataSet(
        name=data.name,
        class_names=data.class_names,
        fingerprint=data.fingerprint,
        is_photos=True,
        split=split,
        evaluation=lambda seed: alone(data.evaluation(seed)),
        contents=data.contents,
        has_validation=aside is not None,
        validation=None if aside is None else lambda: aside,
        left_out=data.left_out,
        class_roots=data.class_roots,
        objects=objects,
        box_problems=data.problems_of,
    )
