"""Decode image files of every common kind as upright RGB images, or RGBA ones where they are transparent."""

import io
import math
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from mbexport.errors import DataError
from mbexport.models.data.kinds import DECODERS, look_at, unread

MOST_BYTES: Final = 1 << 30  # of a file: more than the pixels of any image that may be decoded; some decoders read all
# Larger pictures are decoded one at a time: a few small files could fill the memory. All by one thread, since the
# allocator of C keeps for each thread what it has freed.
_LARGE_PX: Final = 1 << 24
_ONE_AT_A_TIME: Final = ThreadPoolExecutor(1, thread_name_prefix="read-large-image")
_BAND_PX: Final = 1 << 20
_FORMATS: Final = tuple(DECODERS.values())
_WITH_ALPHA: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_ORIENTATION: Final = 0x0112  # Exif 2.32, table 4: tag 274, "Orientation"
_TURN_UPRIGHT: Final[Mapping[int, Image.Transpose]] = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)


def read_image(path: Path) -> Image.Image:
    """The first frame of the file as RGB, or RGBA if it has an alpha, turned upright by its EXIF orientation.

    Grey, palette, CMYK and 16-bit images are converted. Raises `DataError` for a file that is no image, is truncated,
    or is so large that decoding it could exhaust the memory.
    """
    require_readable(path)
    try:
        return _decode(path, name=str(path))
    except DataError:
        kind = look_at(str(path)).kind
        if kind is None or kind in DECODERS:
            raise
        raise DataError(f"{path} {unread(kind)}") from None


def decode_image(encoded: bytes, *, name: str) -> Image.Image:
    """The same as `read_image` for the content of a file; errors call it `name`."""
    return _decode(io.BytesIO(encoded), name=name)


def require_readable(path: Path) -> None:
    """Raise `DataError` for what is no regular file, before a pipe is waited for, and for a file of a gigabyte."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(state.st_mode):
        raise DataError(f"{path} must be a regular file")
    if state.st_size > MOST_BYTES:
        raise DataError(f"{path} is too large to decode safely: {state.st_size} bytes")


def _decode(source: Path | io.BytesIO, *, name: str) -> Image.Image:
    with opened_image(source, name=name) as image:
        is_large = image.width * image.height > _LARGE_PX
        return _ONE_AT_A_TIME.submit(_loaded, image).result() if is_large else _loaded(image)


@contextmanager
def opened_image(source: Path | io.BytesIO, *, name: str) -> Iterator[Image.Image]:
    """The image in `source`, whose header has been read and whose pixels have not.

    Raises `DataError`, also for what is raised while it is open; errors call it `name`.
    """
    try:
        with Image.open(source, formats=_FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            yield image
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image that can be read") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} is too large to decode safely: {error}") from None
    except Exception as error:  # decoders raise errors of every kind on a damaged file
        raise DataError(f"{name} cannot be decoded: {error}") from None


def _loaded(image: Image.Image) -> Image.Image:
    """All pixels of the opened image, turned upright; of a large one never more than two copies at once."""
    image.load()
    orientation = orientation_of(image)
    is_large = image.mode not in ("RGB", "RGBA") and image.width * image.height > _LARGE_PX
    colours = _in_bands(image) if is_large else to_colours(image)
    return colours.transpose(_TURN_UPRIGHT[orientation]) if orientation in _TURN_UPRIGHT else colours


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation by what has been read of the image; 1, upright, where the metadata cannot be read.

    Nothing more is read for it: Pillow's own method for PNGs would decode them.
    """
    try:
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # Pillow raises errors of every kind on damaged metadata
        return 1


def _in_bands(image: Image.Image) -> Image.Image:
    """What `to_colours` gives, a band of rows at a time."""
    colours = Image.new("RGBA" if _is_transparent(image) else "RGB", image.size)
    rows = max(1, _BAND_PX // image.width)
    for top in range(0, image.height, rows):
        colours.paste(to_colours(image.crop((0, top, image.width, min(top + rows, image.height)))), (0, top))
    return colours


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in _WITH_ALPHA or ("transparency" in image.info and not image.mode.startswith("I;16"))


def to_colours(image: Image.Image) -> Image.Image:
    """The image in RGB, or RGBA if it has an alpha or a transparent colour: 16-bit grey keeps its high byte."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        high_bytes = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit pixels (mode {image.mode}) have no common range: convert them to 8 bits")
    return image.convert("RGBA" if _is_transparent(image) else "RGB")
