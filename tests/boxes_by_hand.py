"""The same photos and boxes, written as Pascal VOC, as COCO and as YOLO folders have them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

ORIENTATION = 0x0112  # the tag of EXIF


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo and its boxes: (class, left, top, right, bottom) as edges in pixels, counted from 0."""

    name: str
    boxes: Sequence[tuple[str, float, float, float, float]] = ()
    size: tuple[int, int] = (40, 20)
    part: str = ""


def image(path: Path, size: tuple[int, int] = (40, 20), *, orientation: int = 1, colour: int = 90) -> Path:
    """A grey image; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    Image.new("RGB", size, (colour,) * 3).save(path, exif=exif)
    return path


def text(path: Path, content: str) -> Path:
    """A text file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def voc_xml(photo: Photo, *, size: tuple[int, int] | None = None, ending: str = ".png") -> str:
    """The annotation of a photo: pixels from 1, the last one belongs to the box."""
    width, height = size or photo.size
    objects = "".join(
        f"<object><name>{escape(name)}</name><difficult>0</difficult><bndbox><xmin>{left + 1:.12g}</xmin>"
        f"<ymin>{top + 1:.12g}</ymin><xmax>{right:.12g}</xmax><ymax>{bottom:.12g}</ymax></bndbox></object>\n"
        for name, left, top, right, bottom in photo.boxes
    )
    return (
        f"<annotation>\n<filename>{photo.name}{ending}</filename>\n<size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>\n{objects}</annotation>\n"
    )


def coco_json(photos: Sequence[Photo], *, ending: str = ".png", names: Sequence[str] | None = None) -> str:
    """The annotations of photos; categories have numbers with gaps, not in the order of their names."""
    found = names or sorted({box[0] for photo in photos for box in photo.boxes}, reverse=True)
    numbers = {name: 3 * place + 7 for place, name in enumerate(found)}
    rows = [(photo, box) for photo in photos for box in photo.boxes]
    return json.dumps(
        {
            "info": {"year": 2026},
            "images": [
                {
                    "id": 100 + place,
                    "file_name": f"{photo.name}{ending}",
                    "width": photo.size[0],
                    "height": photo.size[1],
                }
                for place, photo in enumerate(photos)
            ],
            "annotations": [
                {
                    "id": place,
                    "image_id": 100 + list(photos).index(photo),
                    "category_id": numbers[name],
                    "bbox": [left, top, right - left, bottom - top],
                    "segmentation": [[left, top, right, top, right, bottom]],
                    "iscrowd": 0,
                }
                for place, (photo, (name, left, top, right, bottom)) in enumerate(rows, start=1)
            ],
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        }
    )


def yolo_lines(photo: Photo, names: Sequence[str]) -> str:
    """The boxes of a photo, one a line."""
    width, height = photo.size
    return "".join(
        f"{names.index(name)} {(left + right) / 2 / width!r} {(top + bottom) / 2 / height!r} "
        f"{(right - left) / width!r} {(bottom - top) / height!r}\n"
        for name, left, top, right, bottom in photo.boxes
    )


def write_voc(root: Path, photos: Sequence[Photo]) -> Path:
    """Folders of VOC's development kit, with lists where photos are of parts."""
    for photo in photos:
        image(root / "JPEGImages" / f"{photo.name}.png", photo.size)
        text(root / "Annotations" / f"{photo.name}.xml", voc_xml(photo))
    for part in sorted({photo.part for photo in photos} - {""}):
        names = "".join(f"{photo.name}\n" for photo in photos if photo.part == part)
        text(root / "ImageSets" / "Main" / f"{part}.txt", names)
    return root


def write_coco(root: Path, photos: Sequence[Photo]) -> Path:
    """Folders as of COCO: `annotations/instances_train.json`, `train/`; without parts `images/`."""
    for part in sorted({photo.part for photo in photos}):
        own = [photo for photo in photos if photo.part == part]
        for photo in own:
            image(root / (part or "images") / f"{photo.name}.png", photo.size)
        text(root / "annotations" / f"instances_{part or 'all'}.json", coco_json(own))
    return root


def write_yolo(root: Path, photos: Sequence[Photo], names: Sequence[str] | None = None) -> Path:
    """Folders `images/train` and `labels/train`, without parts `images` and `labels`, and a data.yaml."""
    found = list(names or sorted({box[0] for photo in photos for box in photo.boxes}))
    for photo in photos:
        image(root / "images" / photo.part / f"{photo.name}.png", photo.size)
        text(root / "labels" / photo.part / f"{photo.name}.txt", yolo_lines(photo, found))
    text(root / "data.yaml", f"train: images/train\nnc: {len(found)}\nnames: {json.dumps(found)}\n")
    return root


WRITERS: Mapping[str, Callable[[Path, Sequence[Photo]], Path]] = {
    "voc": write_voc,
    "coco": write_coco,
    "yolo": write_yolo,
}
