"""Turns an image into the bytes and numbers the network sees: the one definition that every stage shares.

Training, calibration, verification, metadata and golden files all go through `Preprocess`. Its two steps are:

1. `pixels`: central square crop, then Pillow's bilinear resize with its support scaled to the reduction
   (anti-aliased, 22-bit fixed-point weights, so that another language can repeat it to the byte);
2. `normalize`: (byte - mean) / std, in float32.

Integer artifacts skip the second step: their input tensor holds the bytes themselves, with scale 1/std and zero
point 128 (`input_zero_point`). See docs/decisions/0004.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import OptionError

# tf_keras.applications.mobilenet.preprocess_input (mode "tf"): x / 127.5 - 1.
MOBILENET_MEAN: Final = 127.5
MOBILENET_STD: Final = 127.5

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How an image of any size becomes the network's input.

    `crop_fraction` is the side of the central square that is kept, as a fraction of the image's shorter side;
    `mean` and `std` are in units of a byte (0..255). Raises `OptionError` for values outside their range.
    """

    resolution_px: int
    crop_fraction: float = 0.875  # the evaluation crop of research/slim, from 256 px to 224 px
    mean: float = MOBILENET_MEAN
    std: float = MOBILENET_STD

    def __post_init__(self) -> None:
        if not 0 < self.crop_fraction <= 1:
            raise OptionError(f"crop fraction must be in (0, 1], got {self.crop_fraction:g}")
        if not (0 <= self.mean <= 255 and 0 < self.std < math.inf):
            raise OptionError(f"mean must be in [0, 255] and std positive, got {self.mean:g} and {self.std:g}")

    @property
    def input_scale(self) -> float:
        """The scale of an integer artifact's input: one byte is 1/std."""
        return 1 / self.std

    @property
    def input_zero_point(self) -> int:
        """The byte that stands for zero in an integer artifact's input: mean, rounded half up."""
        return math.floor(self.mean + 0.5)

    @property
    def input_shift(self) -> float:
        """What `normalize` gives beyond an integer artifact's (byte - zero point) / std: a constant.

        A mean of 127.5 is no byte. The quantizable network absorbs this half step into its first bias.
        """
        return (self.input_zero_point - self.mean) / self.std

    def pixels(self, image: Image.Image) -> Pixels:
        """The RGB `image`, cropped and resized: uint8 of shape (resolution, resolution, 3)."""
        width, height = image.size
        side = max(1, round(min(width, height) * self.crop_fraction))
        left, top = (width - side) // 2, (height - side) // 2
        size = (self.resolution_px, self.resolution_px)
        # Two steps, not resize(box=...): that lets pixels from outside the box bleed in at its border.
        resized = image.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.BILINEAR)
        return np.asarray(resized, dtype=np.uint8)

    def normalize(self, pixels: Pixels) -> NDArray[np.float32]:
        """What the float network takes: (byte - mean) / std, float32 of the shape of `pixels`."""
        return ((pixels.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)).astype(np.float32)

    def dequantize(self, pixels: Pixels) -> NDArray[np.float32]:
        """What the bytes mean to an integer artifact: (byte - zero point) / std, float32 of the shape of `pixels`."""
        shifted = pixels.astype(np.float32) - np.float32(self.input_zero_point)
        return (shifted / np.float32(self.std)).astype(np.float32)
