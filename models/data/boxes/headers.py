"""Read how large an image is, and how it is turned, from its header; turn boxes as its pixels are turned.

A camera stores what it sees as it lies, and writes beside it how that is to be turned (EXIF). `read_image` turns it.
Most tools show and label an image turned (labelImg since 2020, LabelMe, whatever runs in a browser), others as it is
stored. The size that an annotation states tells which, where the two differ; where it tells nothing, boxes are taken
to be those of the image as it is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.files import open_regular
from mbexport.models.data.decode import opened_image, orientation_of, require_readable

# Exif 2.32, table 6: the orientations that show a row as a column. Of each: whether what is shown at (y, x) is stored
# with its x counted from the right, and its y from below.
_ON_ITS_SIDE: Final[Mapping[int, tuple[bool, bool]]] = MappingProxyType(
    {5: (False, False), 6: (False, True), 7: (True, True), 8: (True, False)}
)
_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101  # tags of TIFF 6.0
_PNG_START_BYTES, _CHUNK_BYTES = 8, 12  # the signature; a chunk's length, type and checksum
_LOOKED_AT_BYTES: Final = 32
_TEXTS_WITH_ORIENTATION: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Width and height of an image as it is stored, in pixels, and its EXIF orientation, 1 to 8."""

    width: int
    height: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height of the pixels in the file."""
        return self.width, self.height

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of the image as it is read."""
        return (self.height, self.width) if self.orientation in _ON_ITS_SIDE else self.stored


def read_header(path: Path) -> Header:
    """The header of the image file at `path`; pixels are not decoded. Raises `DataError` if it cannot be read."""
    require_readable(path)
    with opened_image(path, name=str(path)) as image:
        if image.format == "PNG" and _has_late_orientation(path):
            image.load()
        # Of a TIFF Pillow says the size that it will have when it is turned, which it does itself.
        tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
        width, height = image.size if tags is None else (int(tags[_IMAGE_WIDTH]), int(tags[_IMAGE_LENGTH]))
        return Header(width=width, height=height, orientation=orientation_of(image))


def turned_as_shown(
    corners: NDArray[np.float64], stated: tuple[int, int] | None, header: Header
) -> NDArray[np.float64] | None:
    """The `corners` (n, 4) of boxes in an image of the size that is `stated`, as fractions of the image as it is read.

    None if the image has another size.
    """
    if stated is None or stated == header.shown:
        return corners
    if stated != header.stored:
        return None
    from_right, from_below = _ON_ITS_SIDE[header.orientation]
    top, left, bottom, right = (corners[:, place] for place in (1, 0, 3, 2))
    if from_right:
        top, bottom = 1 - bottom, 1 - top
    if from_below:
        left, right = 1 - right, 1 - left
    return np.stack([top, left, bottom, right], axis=1)


def _has_late_orientation(path: Path) -> bool:
    """Whether a PNG may say its orientation behind its pixels, where Pillow finds it by decoding them alone."""
    start, is_late = _PNG_START_BYTES, False
    with open_regular(path, follow_links=True) as content:
        while len(head := _at(content, start)) >= _CHUNK_BYTES:
            kind, text = head[4:8], head[8:]
            if is_late and (kind == b"eXIf" or text.startswith(_TEXTS_WITH_ORIENTATION)):
                return True
            is_late = is_late or kind == b"IDAT"
            start += int.from_bytes(head[:4], "big") + _CHUNK_BYTES
    return False


def _at(content: BufferedReader, start: int) -> bytes:
    """The beginning of the chunk that starts there."""
    content.seek(start)
    return content.read(_LOOKED_AT_BYTES)
