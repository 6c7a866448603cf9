"""Pictures of the images on which artifacts and reference differ most, for the page of a report."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import zip_longest
from typing import Final

from PIL import Image

from mbexport.models.data.open import ImageSet
from mbexport.models.transparency import over_white

MOST_PICTURES: Final = 96
SIDE_PX: Final = 160
_QUALITY: Final = 80


def thumbnails(
    rankings: Sequence[Sequence[str]], images: ImageSet, *, most: int = MOST_PICTURES, side_px: int = SIDE_PX
) -> dict[str, bytes]:
    """At most `most` JPEGs of images by name, first the first of each of `rankings`, then each second one.

    The longest side is `side_px`; a smaller image keeps its size. Raises `DataError` for an image that can no longer
    be read.
    """
    wanted = list(dict.fromkeys(name for rank in zip_longest(*rankings) for name in rank if name is not None))[:most]
    sought = set(wanted)
    places = {name: place for place, name in enumerate(images.names if sought else ()) if name in sought}
    return {name: _thumbnail(images.read(places[name]), side_px) for name in wanted}


def pictures_to_json(pictures: Mapping[str, bytes]) -> bytes:
    """Serialize pictures by name as JSON, for `pictures_from_json`."""
    return json.dumps({name: b64encode(content).decode() for name, content in pictures.items()}).encode()


def pictures_from_json(content: bytes) -> dict[str, bytes]:
    """Read the pictures that `pictures_to_json` wrote."""
    return {name: b64decode(text) for name, text in json.loads(content).items()}


def _thumbnail(image: Image.Image, side_px: int) -> bytes:
    small = over_white(image).copy()
    small.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    content = BytesIO()
    small.save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
