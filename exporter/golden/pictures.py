"""Draw the photos that golden vectors may be made of, as an app has them and as a network sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.calibration.samples import balanced_samples
from mbexport.models.channels import CHANNELS
from mbexport.models.data.imageset import ImageSet, reader_pool
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.models.transparency import over_white

_LONGEST_PX: Final = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A few images: `raw` as an app has them, `resized` bytes (n, h, w, channels), `truth` (n,) if it is known."""

    raw: tuple[Image.Image, ...]
    resized: Pixels
    truth: NDArray[np.int64] | None = None

    def only(self, images: Sequence[int]) -> "Pictures":
        """Some of the images."""
        return Pictures(
            raw=tuple(self.raw[image] for image in images),
            resized=self.resized[list(images)],
            truth=None if self.truth is None else self.truth[list(images)],
        )

    def ending(self, place: int) -> str:
        """What the files of an image end in: rgb, or rgba for a network that takes alpha."""
        return self.raw[place].mode.lower()


def drawn_pictures(
    images: ImageSet, preprocess: Preprocess, *, most: int, is_labelled: bool = False, seed: int
) -> Pictures:
    """At most `most` of the images, drawn by `seed` from all classes alike."""
    drawn = images.subset(balanced_samples(images.labels, most, seed=seed))
    has_alpha = CHANNELS[preprocess.channels].has_alpha

    def as_camera_has_it(index: int) -> Image.Image:
        image = drawn.read(index)
        return reduced(image.convert("RGBA") if has_alpha else over_white(image))

    raw = tuple(reader_pool().map(as_camera_has_it, range(len(drawn))))
    return Pictures(
        raw=raw,
        resized=np.stack([preprocess.pixels(image) for image in raw]),
        truth=drawn.labels if is_labelled else None,
    )


def reduced(image: Image.Image) -> Image.Image:
    """The image with a longer side of at most 320 px: an app's test feeds it as if it came from a camera."""
    scale = _LONGEST_PX / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)
