"""More photos from few: each one mirrored, zoomed in, and both. Needs no labels: what counts is float's answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from mbexport.models.data.open import ImageSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How a photo is changed: `zoom` is the share of its sides that is left around its middle."""

    is_mirrored: bool = False
    zoom: float = 1.0

    def of(self, image: Image.Image) -> Image.Image:
        """The changed photo."""
        width, height = (round(side * self.zoom) for side in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
        return ImageOps.mirror(image) if self.is_mirrored else image


# 500 photos are 2,000 with these; those of the others that calibration takes are zoomed differently.
EVALUATED = tuple(Variant(is_mirrored=mirrored, zoom=zoom) for zoom in (1.0, 0.875) for mirrored in (False, True))
CALIBRATED = tuple(
    Variant(is_mirrored=mirrored, zoom=zoom) for zoom in (1.0, 0.95, 0.9, 0.85, 0.8) for mirrored in (False, True)
)


def varied(images: ImageSet, variants: Sequence[Variant], count: int | None = None) -> ImageSet:
    """The first `count` of the images in each of the variants, one variant after the other; all if none is given."""
    total = len(images) * len(variants) if count is None else count
    if total > len(images) * len(variants):
        raise ValueError(f"{len(images)} images have {len(variants)} variants each, got {total}")
    sources, read = np.arange(total) % len(images), images.read

    def changed(index: int) -> Image.Image:
        return variants[index // len(images)].of(read(index % len(images)))

    names = tuple(f"{images.names[source]} {index // len(images)}" for index, source in enumerate(sources))
    return ImageSet(labels=images.labels[sources], names=names, read=changed)
