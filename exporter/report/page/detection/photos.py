"""Prepare the photos on which a detector's files differ most from the reference: boxes and labels to draw over each.

Coordinates are those of a drawing as wide as a phone's page, so that its text is as large as it is written. Labels keep
clear of each other: what is found by one side alone is labelled first, and what has no room stands below the photo.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from mbexport.escaping.characters import elided
from mbexport.report.page.numbers import Json
from mbexport.report.page.pictures import data_uri
from mbexport.report.page.svg import WIDTH_PX
from mbexport.report.page.task_page import Pictures
from mbexport.report.page.tiles import subjects
from mbexport.report.page.view import NumberedArtifact

MOST_PHOTOS: Final = 24  # that are shown; the report holds all
MOST_NAMED: Final = 6  # boxes that the text below a photo names, of each kind
_LABEL_PX: Final = 15  # its height
_LETTER_PX: Final = 6.9  # of text of 12 px, in the widest of the page's fonts
_PAD_PX: Final = 6
_LONGEST_LABEL: Final = 18
_MOST_HIDDEN: Final = 0.2  # of a photo, by labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text in a box of its own, whose upper left corner is x, y."""

    x: float
    y: float
    width: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A detection's box: `side` is `reference` or `artifact`, and one that `is_alone` has no partner on the other."""

    x: float
    y: float
    width: float
    height: float
    side: str
    is_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """An image with the boxes of the reference and of the artifact `drawn`, which differs most from it there.

    `uri` is None without its picture, which is `width_px` wide; `height` is that of the drawing. `counts` are
    (artifact, lost, new) of each artifact that differs; `lost` and `new` name the boxes of the drawn one, with scores.
    """

    image: str
    uri: str | None
    width_px: int
    height_px: int
    height: float
    drawn: NumberedArtifact
    outlines: tuple[Outline, ...]
    labels: tuple[Label, ...]
    counts: tuple[tuple[NumberedArtifact, int, int], ...]
    lost: str
    new: str


def context(report: Json, artifacts: Sequence[NumberedArtifact], pictures: Pictures) -> dict[str, Any]:
    """The names that only the templates of detectors use; `pictures` of images that are not shown are left out."""
    is_network = report["reference"]["precision"] is not None
    return {
        "photos": photos(artifacts, pictures, words=("lost", "new") if is_network else ("missed", "false")),
        "words": ("Lost", "new") if is_network else ("Missed", "false"),
        "is_network": is_network,
        "opened": _opened(report, artifacts),
        "view_px": WIDTH_PX,
        "label_px": _LABEL_PX,
    }


def _opened(report: Json, artifacts: Sequence[NumberedArtifact]) -> int:
    """The place of the artifact whose classes are unfolded: the first one of those that tiles speak of."""
    first = subjects(report)[0]["file"]
    return next(one.place for one in artifacts if one.entry["file"] == first)


def photos(
    artifacts: Sequence[NumberedArtifact], pictures: Pictures, *, words: tuple[str, str] = ("lost", "new")
) -> list[Photo]:
    """The images on which artifacts differ from the reference, each once, worst first; at most MOST_PHOTOS.

    `words` say what a box is that the reference alone, and that the artifact alone has.
    """
    by_image: dict[str, list[tuple[NumberedArtifact, Json]]] = {}
    for one in artifacts:
        for case in one.entry["worst_images"]:
            by_image.setdefault(case["image"], []).append((one, case))
    ordered = sorted(by_image.items(), key=lambda item: (-max(_differing(case) for _, case in item[1]), item[0]))
    return [_photo(image, cases, pictures.get(image), words) for image, cases in ordered[:MOST_PHOTOS]]


def _differing(case: Json) -> int:
    return int(case["lost"] + case["invented"])


def _photo(
    image: str, cases: Sequence[tuple[NumberedArtifact, Json]], picture: bytes | None, words: tuple[str, str]
) -> Photo:
    drawn, case = max(cases, key=lambda pair: _differing(pair[1]))
    width_px, height_px = _size(picture) if picture is not None else (1, 1)
    height = round(WIDTH_PX * height_px / width_px, 1)
    sides = (("reference", case["reference"], words[0]), ("artifact", case["artifact"], words[1]))
    outlines = tuple(_outline(found, side, height) for side, boxes, _ in sides for found in boxes)
    return Photo(
        image=image,
        uri=None if picture is None else data_uri(picture),
        width_px=width_px,
        height_px=height_px,
        height=height,
        drawn=drawn,
        outlines=tuple(sorted(outlines, key=lambda outline: outline.is_alone)),
        labels=tuple(placed(_texts(sides, height), height)),
        counts=tuple((one, each["lost"], each["invented"]) for one, each in cases),
        lost=_named(case["reference"]),
        new=_named(case["artifact"]),
    )


def _size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        return picture.size


def _outline(found: Json, side: str, height: float) -> Outline:
    top, left, bottom, right = found["box"]
    return Outline(
        x=round(left * WIDTH_PX, 1),
        y=round(top * height, 1),
        width=round(max(0.0, right - left) * WIDTH_PX, 1),
        height=round(max(0.0, bottom - top) * height, 1),
        side=side,
        is_alone=not found["paired"],
    )


def _named(boxes: Sequence[Json]) -> str:
    """The boxes that have no partner, with their scores; empty if all have one."""
    alone = sorted((each for each in boxes if not each["paired"]), key=lambda each: -each["score"])
    named = [_named_box(each) for each in alone[:MOST_NAMED]]
    rest = len(alone) - MOST_NAMED
    return ", ".join(named + ([f"and {rest} more"] if rest > 0 else []))


def _named_box(found: Json) -> str:
    return f"{elided(found['label'], _LONGEST_LABEL)} {found['score']:.2f}"


def _texts(sides: Sequence[tuple[str, Sequence[Json], str]], height: float) -> list[tuple[Outline, str]]:
    """What is labelled, most important first: boxes that one side has alone, then those that both have, once."""
    alone, shared = [], []
    for side, boxes, word in sides:
        for found in sorted(boxes, key=lambda each: -each["score"]):
            outline = _outline(found, side, height)
            if outline.is_alone:
                alone.append((outline, f"{_named_box(found)} {word}"))
            elif side == "artifact":
                shared.append((outline, _named_box(found)))
    return alone + shared


def placed(texts: Sequence[tuple[Outline, str]], height: float) -> list[Label]:
    """A label for each text at its box, in their order, as far as there is room.

    None covers another or leaves the photo, and all together hide at most a fifth of it.
    """
    labels: list[Label] = []
    room = _MOST_HIDDEN * WIDTH_PX * height
    for outline, text in texts:
        width = min(float(WIDTH_PX), round(len(text) * _LETTER_PX + _PAD_PX, 1))
        if width * _LABEL_PX > room:
            continue
        for x, y in _places(outline, width):
            label = Label(x=round(min(max(0.0, x), WIDTH_PX - width), 1), y=round(y, 1), width=width, text=text)
            if 0 <= label.y <= height - _LABEL_PX and not any(_overlaps(label, other) for other in labels):
                labels.append(label)
                room -= width * _LABEL_PX
                break
    return labels


def _places(outline: Outline, width: float) -> Iterator[tuple[float, float]]:
    """Where a label may stand: above its box, below it, within, from the left and from the right."""
    above, below = outline.y - _LABEL_PX, outline.y + outline.height
    for y in (above, below, outline.y, below - _LABEL_PX):
        for x in (outline.x, outline.x + outline.width - width):
            yield x, y


def _overlaps(one: Label, other: Label) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not beside and abs(one.y - other.y) < _LABEL_PX
