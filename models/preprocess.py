"""Convert an image to the bytes and numbers of the network's input: the one definition that every stage shares.

Training, calibration, verification, metadata and golden files all go through `Preprocess`. Its two steps are:

1. `pixels`: central crop of the input's shape, or the whole image for detectors, then Pillow's bilinear resize with its
   support scaled to the reduction (anti-aliased, 22-bit fixed-point weights, so that another language can repeat it to
   the byte);
2. `normalize`: (byte - mean) / std, in float32.

Integer artifacts skip the second step: their input tensor holds the bytes themselves, with scale 1/std and the
zero point `input_zero_point`. See docs/decisions/0004.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import OptionError
from mbexport.models.channels import CHANNELS, MAX_CHANNELS
from mbexport.models.resolution import RESOLUTION_SCHEMA, Resolution
from mbexport.models.transparency import over_white

Pixels = NDArray[np.uint8]

_GREY, _RGB = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """The input of a float network for a byte b: (b - mean) / std, one value for all channels or one for each.

    `is_bgr` says that the network takes blue first; `mean` and `std` are then in that order. Both are in units of a
    byte (0..255). Raises `OptionError` for values that are not finite or a std that is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    is_bgr: bool = False

    def __post_init__(self) -> None:
        sizes = {len(self.mean), len(self.std)}
        if not (sizes <= set(CHANNELS) and len(sizes - {1}) <= 1):
            raise OptionError(
                f"mean and std must be 1 to {MAX_CHANNELS} numbers, got {len(self.mean)} and {len(self.std)}"
            )
        if not all(-math.inf < mean < math.inf for mean in self.mean):
            raise OptionError(f"mean must be finite, got {self.mean}")
        if not all(0 < std < math.inf for std in self.std):
            raise OptionError(f"std must be positive and finite, got {self.std}")

    def then(self, scale: tuple[float, ...], offset: tuple[float, ...]) -> "Normalization":
        """The normalization that gives `scale` * x + `offset` where this gives x: of a network that rescales its input.

        Raises `OptionError` for a scale that is not positive.
        """
        size = max(map(len, (self.mean, self.std, scale, offset)))
        mean, std, factor, shift = (widened(values, size) for values in (self.mean, self.std, scale, offset))
        if not all(0 < value < math.inf for value in factor):
            raise OptionError(f"a network's own rescaling must be by positive numbers, got {scale}")
        return Normalization(
            mean=tuple(m - o * s / f for m, s, f, o in zip(mean, std, factor, shift, strict=True)),
            std=tuple(s / f for s, f in zip(std, factor, strict=True)),
            is_bgr=self.is_bgr,
        )


# The conventions of tf_keras.applications.imagenet_utils.preprocess_input (modes "tf" and "caffe"), and two plain ones.
MOBILENET: Final = Normalization(mean=(127.5,), std=(127.5,))
UNIT: Final = Normalization(mean=(0.0,), std=(255.0,))
RAW: Final = Normalization(mean=(0.0,), std=(1.0,))
CAFFE: Final = Normalization(mean=(103.939, 116.779, 123.68), std=(1.0,), is_bgr=True)
MOBILENET_NAME: Final = "mobilenet"
RAW_NAME: Final = "raw"
NORMALIZATIONS: Final[Mapping[str, Normalization]] = MappingProxyType(
    {MOBILENET_NAME: MOBILENET, "unit": UNIT, "caffe": CAFFE, RAW_NAME: RAW}
)

NO_BYTES: Final = "it rescales an input that is no byte: give --preprocess, or --mean and --scale, for what is"
_LARGEST: Final = 255.0  # of any convention: bytes as they are
_LEAST_STD: Final = 4.0  # of bytes of photos, which is about 60; of numbers up to 1 it is less than 1
_LEAST_MEAN: Final = 16.0  # of bytes, where it is not 0


def own_normalization(scale: tuple[float, ...], offset: tuple[float, ...]) -> Normalization | None:
    """What a network that multiplies its input by `scale` and adds `offset` makes of bytes; None if it is fed others.

    A network for bytes brings them near 1, or takes off their mean alone; one that begins with the normalization of
    numbers up to 1 would make hundreds of them. Raises `OptionError` for a scale that is not positive.
    """
    found = RAW.then(scale, offset)
    for mean, std in zip(found.mean, found.std, strict=True):
        is_shift = math.isclose(std, 1.0, rel_tol=1e-6) and (mean == 0 or mean >= _LEAST_MEAN)
        most = max(abs(mean), abs(_LARGEST - mean)) / std
        if most > _LARGEST or not (is_shift or std >= _LEAST_STD):
            return None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """The conversion of an image of any size to the network's input.

    `crop_fraction` is how much of the image's height or width is kept, whichever is short for the input's shape: of
    a square input the side of the central square, as a fraction of the image's shorter side. `channels` are those of
    `models.channels`. With `is_stretched` nothing is cut off: the whole image is resized to the input's shape, whatever
    its own, as detectors are fed, which must miss nothing. Raises `OptionError` for values outside their range, and
    for a crop of an image that is stretched.
    """

    resolution: Resolution
    crop_fraction: float = 0.875  # the evaluation crop of research/slim, from 256 px to 224 px
    channels: int = _RGB
    normalization: Normalization = MOBILENET
    is_stretched: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.crop_fraction <= 1:
            raise OptionError(f"crop fraction must be in (0, 1], got {self.crop_fraction:g}")
        if self.is_stretched and self.crop_fraction != 1:
            raise OptionError(f"crop fraction must be 1 where images are stretched, got {self.crop_fraction:g}")
        if self.channels not in CHANNELS:
            raise OptionError(f"channels must be 1 to {MAX_CHANNELS}, got {self.channels}")
        given = self.normalization
        if self.channels == _GREY and (given.is_bgr or len(given.mean) != 1 or len(given.std) != 1):
            raise OptionError("a grey image has one mean, one std and no order of channels, got those of colours")
        kind = CHANNELS[self.channels]
        if given.is_bgr and kind.bgr_colour is None:
            raise OptionError(f"{kind.title} images have no other order of channels, got blue first")
        if not {len(given.mean), len(given.std)} <= {1, self.channels}:
            raise OptionError(
                f"mean and std of {kind.title} images must be 1 or {self.channels} numbers, got {len(given.mean)} and "
                f"{len(given.std)}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of what `pixels` gives: (height, width, channels)."""
        return *self.resolution.sides_px, self.channels

    @property
    def uncropped(self) -> "Preprocess":
        """The same scale without the crop: augmentation may move what lies around the crop into the picture."""
        height_px, width_px = (round(side / self.crop_fraction) for side in self.resolution.sides_px)
        return replace(self, resolution=Resolution(height_px=height_px, width_px=width_px), crop_fraction=1.0)

    @property
    def input_scale(self) -> float:
        """The scale of an integer artifact's input: 1/std, of the first channel where they differ."""
        return 1 / self.normalization.std[0]

    @property
    def input_zero_point(self) -> int:
        """The byte that stands for zero in an integer artifact's input: the mean, rounded half up."""
        mean = self.normalization.mean
        return min(max(0, math.floor(sum(mean) / len(mean) + 0.5)), 255)

    @property
    def input_gain(self) -> tuple[float, ...]:
        """The size of an integer artifact's input step in `normalize`, for each channel: 1 where all have one std."""
        return tuple(self.normalization.std[0] / std for std in self._each(self.normalization.std))

    @property
    def input_shift(self) -> tuple[float, ...]:
        """The difference, for each channel, of `normalize` and an integer artifact's (byte - zero point) / std.

        A mean of 127.5 is no byte. The quantizable network absorbs this half step into its first bias.
        """
        mean, std = (self._each(values) for values in (self.normalization.mean, self.normalization.std))
        return tuple((self.input_zero_point - m) / s for m, s in zip(mean, std, strict=True))

    def pixels(self, image: Image.Image) -> Pixels:
        """The RGB or RGBA `image` in the network's channels, cropped and resized: uint8 of `shape`.

        Transparency is laid over white where the network takes none.
        """
        kind = CHANNELS[self.channels]
        if not kind.has_alpha:
            image = over_white(image)
        if kind.mode != image.mode:
            image = image.convert(kind.mode)  # to grey by ITU-R 601-2 luma, as Pillow has it
        # Two steps, not resize(box=...): that lets pixels from outside the box bleed in at its border.
        cropped = image.crop(self.crop_box(*image.size))
        if kind.has_alpha:  # a band at a time: as a whole Pillow weights colours by alpha, which no tf.image does
            resized = Image.merge(kind.mode, [self._resized(band) for band in cropped.split()])
        else:
            resized = self._resized(cropped)
        return np.asarray(resized, dtype=np.uint8).reshape(self.shape)

    def _resized(self, image: Image.Image) -> Image.Image:
        """The image in the network's size: the width first, then the height, each rounded to bytes.

        Of a square that is what Pillow does. Where the shape changes, too, its version 13 begins with the height if
        that is reduced more, which earlier versions and the wrappers of apps do not.
        """
        height_px, width_px = self.resolution.sides_px
        if self.is_stretched or not self.resolution.is_square:
            image = image.resize((width_px, image.height), Image.Resampling.BILINEAR)
        return image.resize((width_px, height_px), Image.Resampling.BILINEAR)

    def crop_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of an image that the input shows, as (left, top, right, bottom) in whole pixels.

        Of the largest box of the input's shape, W x H, one side is the image's own: its height if width * H >=
        height * W, else its width. With that side `fit`:

            along = max(1, round(fit * crop_fraction)), halves to even      across = max(1, round(along * ratio))

        where ratio is W / H along the height, and H / W along the width. What is cut off is the same on both sides,
        or one pixel more right and below. Where W = H, the box is the square of side round(min(width, height) *
        crop_fraction). An image that is stretched is its own box.
        """
        if self.is_stretched:
            return 0, 0, width, height
        rows, columns = self.resolution.sides_px
        if width * rows >= height * columns:
            kept_height = max(1, round(height * self.crop_fraction))
            kept_width = max(1, round(kept_height * (columns / rows)))
        else:
            kept_width = max(1, round(width * self.crop_fraction))
            kept_height = max(1, round(kept_width * (rows / columns)))
        left, top = (width - kept_width) // 2, (height - kept_height) // 2
        return left, top, left + kept_width, top + kept_height

    def normalize(self, pixels: Pixels) -> NDArray[np.float32]:
        """The input of the float network: (byte - mean) / std, float32 of the shape of `pixels` (..., channels)."""
        normalized: NDArray[np.float32] = self.normalize_floats(pixels.astype(np.float32))
        return normalized

    def normalize_floats(self, values: Any) -> Any:
        """The same for float32 values 0..255, of numpy or of TensorFlow."""
        ordered = values[..., ::-1] if self.normalization.is_bgr else values
        mean, std = (np.array(entry, np.float32) for entry in (self.normalization.mean, self.normalization.std))
        return (ordered - mean) / std

    def dequantize(self, pixels: Pixels) -> NDArray[np.float32]:
        """The values of bytes in an integer artifact: (byte - zero point) / std, float32 of the shape of `pixels`."""
        numbers: NDArray[np.float32] = self.dequantize_floats(pixels.astype(np.float32))
        return numbers

    def dequantize_floats(self, values: Any) -> Any:
        """The same for float32 values 0..255, of numpy or of TensorFlow."""
        return (values - np.float32(self.input_zero_point)) / np.float32(self.normalization.std[0])

    def steps(self, pixels: Pixels) -> NDArray[np.float32]:
        """The same in whole steps of the input's codes: byte - zero point."""
        return pixels.astype(np.float32) - np.float32(self.input_zero_point)

    def _each(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return widened(values, self.channels)


def widened(values: tuple[float, ...], size: int) -> tuple[float, ...]:
    """The values, or one value repeated `size` times."""
    return values * size if len(values) == 1 else values


_NUMBERS: Final = {"type": "array", "items": {"type": "number"}}
# The form of what `preprocess_to_json` makes of a `Preprocess`.
PREPROCESS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["resolution_px", "crop_fraction", "channels", "normalization"],
    "additionalProperties": False,
    "properties": {
        "resolution_px": dict(RESOLUTION_SCHEMA),
        "crop_fraction": {"type": "number"},
        "channels": {"type": "integer"},
        "stretched": {"const": True},
        "normalization": {
            "type": "object",
            "required": ["mean", "std", "is_bgr"],
            "additionalProperties": False,
            "properties": {"mean": _NUMBERS, "std": _NUMBERS, "is_bgr": {"type": "boolean"}},
        },
    },
}


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """A `Preprocess` in the form `PREPROCESS_SCHEMA`."""
    return {
        "resolution_px": preprocess.resolution.json,
        "crop_fraction": preprocess.crop_fraction,
        "channels": preprocess.channels,
        **({"stretched": True} if preprocess.is_stretched else {}),
        "normalization": asdict(preprocess.normalization),
    }


def preprocess_from_json(values: Mapping[str, Any]) -> Preprocess:
    """Read a `Preprocess` of the form `PREPROCESS_SCHEMA`. Raises `OptionError` for values that it cannot have."""
    norm = values["normalization"]
    normalization = Normalization(mean=tuple(norm["mean"]), std=tuple(norm["std"]), is_bgr=norm["is_bgr"])
    return Preprocess(
        resolution=Resolution.parse(values["resolution_px"]),
        crop_fraction=values["crop_fraction"],
        channels=values["channels"],
        normalization=normalization,
        is_stretched=values.get("stretched", False),
    )
