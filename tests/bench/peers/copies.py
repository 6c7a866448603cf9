"""Further test images made of the ones that there are, so that agreement is known to a few tenths of a percent."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mbexport.models.preprocess import Pixels


def with_copies(pixels: Pixels, zooms: Sequence[float], *, is_mirrored: bool) -> Pixels:
    """The images (n, px, px, channels), then copies of all of them, zoomed in about the centre and mirrored."""
    zoomed = [pixels, *(np.stack([_zoomed(image, zoom) for image in pixels]) for zoom in zooms)]
    return np.concatenate([*zoomed, *((each[:, :, ::-1] for each in zoomed) if is_mirrored else ())])


def _zoomed(image: Pixels, zoom: float) -> Pixels:
    height, width, _ = image.shape
    down, right = (side * (1 - 1 / zoom) / 2 for side in (height, width))
    box = (right, down, width - right, height - down)
    picture = Image.fromarray(image)
    return np.asarray(picture.resize(picture.size, Image.Resampling.BILINEAR, box=box), np.uint8)
