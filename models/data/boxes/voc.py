"""Read boxes of Pascal VOC: an XML file an image, and lists of the images of each part in `ImageSets/Main`.

Pixels are counted from 1, and a box ends with its last pixel (Everingham et al. 2010; VOCdevkit, VOCreadrecxml.m): one
from 1 to 10 is ten pixels wide, from 0 to 10 as edges. One from 10 to 10, though a pixel wide by that, is what tools
write for a click, and has no area here. Tools that count from 0 write edges one pixel further left and up, which is
within what labels are exact to.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mbexport.errors import DataError
from mbexport.escaping.terminal import visible
from mbexport.models.data.boxes.class_order import NO_CLASS, order_by_name
from mbexport.models.data.boxes.image_files import ImageFiles, without_ending
from mbexport.models.data.boxes.lists import PartList, read_lists, without_unlabelled_test
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
from mbexport.models.data.left_out import LeftOut
from mbexport.models.data.listing import DataFolder
from mbexport.models.data.splits import Part

_ENDING: Final = ".xml"
_KIND: Final = Annotations(ending=_ENDING, folders=frozenset({"annotations", "annotation", "labels", "xmls", "xml"}))
_EDGES: Final = ("xmin", "ymin", "xmax", "ymax")
_LONGEST_REASON: Final = 200


def find_voc(folder: DataFolder) -> Found | None:
    """The annotations of Pascal VOC in a data folder."""
    layout = find_layout(folder, _KIND)
    if layout is None:
        return None
    first = next(iter(layout.places.values())).annotations.relative_to(folder.root).as_posix()
    return Found(where=f"{first}/*{_ENDING}".removeprefix("./"), read=lambda: _read(folder, layout))


def _read(folder: DataFolder, layout: Layout) -> Source:
    for place in layout.places.values():
        admit_all(folder, place.images)
    files = ImageFiles(folder, (place.images for place in layout.places.values()), beside=(_ENDING,))
    named = {part: _annotations(place) for part, place in layout.places.items()}
    parts: dict[Part, Iterable[StatedImage]] = {
        part: _stated(folder, files, layout.places[part], names.values()) for part, names in named.items()
    }
    lists = read_lists(folder, folder.root / "ImageSets" / "Main") if Part.WHOLE in layout.places else {}
    if lists:
        place, names = layout.places[Part.WHOLE], named[Part.WHOLE]
        parts = {
            part: _listed(folder, files, place, names, listed)
            for part, listed in without_unlabelled_test(lists, names).items()
        }
    return Source(
        parts=parts,
        files=files,
        order=order_by_name,
        left_out=LeftOut.of(layout.passed),
        roots=layout.roots,
    )


def _annotations(place: Place) -> dict[str, str]:
    """The names of the files, by what they are called without their ending."""
    return {without_ending(name): name for name in files_in(place.annotations, _ENDING)}


def _listed(
    folder: DataFolder, files: ImageFiles, place: Place, names: Mapping[str, str], listed: PartList
) -> Iterator[StatedImage]:
    for name in listed.names:
        if name in names:
            yield from _stated(folder, files, place, [names[name]])
        else:
            yield StatedImage(file=listed.file, image=None, wanted=f"an annotation of {name}", boxes=())


def _stated(folder: DataFolder, files: ImageFiles, place: Place, names: Iterable[str]) -> Iterator[StatedImage]:
    for name in names:
        path = place.annotations / name
        root = parse_annotation(read_annotation(folder, path, limit_bytes=MOST_BYTES), path)
        file_name = _text(root, "filename").replace("\\", "/").rpartition("/")[2]
        yield StatedImage(
            file=path.relative_to(folder.root).as_posix(),
            image=_image(files, place, without_ending(name), file_name, path),
            wanted=f"image {file_name or without_ending(name)}",
            boxes=tuple(_box(index, each) for index, each in enumerate(root.findall("object"), start=1)),
            size=_size(root),
            first_px=1,
        )


def _image(files: ImageFiles, place: Place, stem: str, file_name: str, path: Path) -> int | None:
    """The number of the image that an annotation is of: the one of its own name, else the one that it names.

    Files are often renamed together, and the name inside is forgotten. Raises `DataError` if two have its name.
    """
    alike, named = files.alike(place.images).get(stem, ()), files.number(place.images, file_name)
    if len(alike) > 1 and named not in alike:
        names = " and ".join(files.names[number] for number in alike[:2])
        raise DataError(f"{path} must be the annotation of one image, got {names}")
    return named if not alike or named in alike else alike[0]


def _box(index: int, found: Element) -> StatedBox:
    edges = [_text(found, f"bndbox/{edge}") for edge in _EDGES]
    left, top, right, bottom = map(number_in, edges)
    return StatedBox(
        place=f"box {index}",
        key=_text(found, "name") or NO_CLASS,
        edges=(left, top, right, bottom),
        text=" ".join(edge or "nothing" for edge in edges),
        is_difficult=_text(found, "difficult") == "1",
    )


def _size(root: Element) -> tuple[int, int] | None:
    """Width and height as they are stated; None for what is no size: some tools write 0."""
    width, height = (number_in(_text(root, f"size/{side}")) for side in ("width", "height"))
    is_size = all(side >= 1 and side.is_integer() for side in (width, height))
    return (int(width), int(height)) if is_size else None


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def parse_annotation(content: bytes, path: Path) -> Element:
    """The root of an annotation's XML.

    Raises `DataError` for what is no XML, for a declaration of a document type, which alone brings in entities, and for
    another root.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _no_document_type
    try:
        parser.Parse(content, True)
        root = builder.close()
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two for an encoding
        raise _refusal(path, str(error)) from None
    if root.tag != "annotation":
        raise _refusal(path, f"it must be an <annotation>, got <{root.tag}>")
    return root


def _no_document_type(*_: object) -> None:
    raise ValueError("it must have no <!DOCTYPE")


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is not an annotation of Pascal VOC: {visible(reason, _LONGEST_REASON)}")
