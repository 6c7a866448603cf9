"""Convert an image to the bytes and numbers of the network's input: the one definition that every stage shares.

Training, calibration, verification, metadata and golden files all go through `Preprocess`. Its two steps are:

1. `pixels`: central square crop, then Pillow's bilinear resize with its support scaled to the reduction
   (anti-aliased, 22-bit fixed-point weights, so that another language can repeat it to the byte);
2. `normalize`: (byte - mean) / std, in float32.

Integer artifacts skip the second step: their input tensor holds the bytes themselves, with scale 1/std and the
zero point `input_zero_point`. See docs/decisions/0004.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mbexport.errors import OptionError

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
        if len(self.mean) not in (_GREY, _RGB) or len(self.std) not in (_GREY, _RGB):
            raise OptionError(f"mean and std must be 1 or 3 numbers, got {len(self.mean)} and {len(self.std)}")
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

    `crop_fraction` is the side of the central square that is kept, as a fraction of the image's shorter side;
    `channels` is 3, or 1 for a network that takes grey images. Raises `OptionError` for values outside their range.
    """

    resolution_px: int
    crop_fraction: float = 0.875  # the evaluation crop of research/slim, from 256 px to 224 px
    channels: int = _RGB
    normalization: Normalization = MOBILENET

    def __post_init__(self) -> None:
        if not self.resolution_px >= 1:
            raise OptionError(f"resolution must be at least 1, got {self.resolution_px}")
        if not 0 < self.crop_fraction <= 1:
            raise OptionError(f"crop fraction must be in (0, 1], got {self.crop_fraction:g}")
        if self.channels not in (_GREY, _RGB):
            raise OptionError(f"channels must be 1 or 3, got {self.channels}")
        given = self.normalization
        if self.channels == _GREY and (given.is_bgr or len(given.mean) != 1 or len(given.std) != 1):
            raise OptionError("a grey image has one mean, one std and no order of channels, got those of colours")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of what `pixels` gives: (resolution, resolution, channels)."""
        return self.resolution_px, self.resolution_px, self.channels

    @property
    def uncropped(self) -> "Preprocess":
        """The same scale without the crop: augmentation may move what lies around the crop into the picture."""
        return replace(self, resolution_px=round(self.resolution_px / self.crop_fraction), crop_fraction=1.0)

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
        """The RGB `image`, cropped and resized, grey if the network takes one channel: uint8 of `shape`."""
        if self.channels == _GREY:
            image = image.convert("L")  # ITU-R 601-2 luma, as Pillow has it
        width, height = image.size
        side = max(1, round(min(width, height) * self.crop_fraction))
        left, top = (width - side) // 2, (height - side) // 2
        size = (self.resolution_px, self.resolution_px)
        # Two steps, not resize(box=...): that lets pixels from outside the box bleed in at its border.
        resized = image.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.BILINEAR)
        return np.asarray(resized, dtype=np.uint8).reshape(self.shape)

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
# The form of what `dataclasses.asdict` makes of a `Preprocess`.
PREPROCESS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["resolution_px", "crop_fraction", "channels", "normalization"],
    "additionalProperties": False,
    "properties": {
        "resolution_px": {"type": "integer"},
        "crop_fraction": {"type": "number"},
        "channels": {"type": "integer"},
        "normalization": {
            "type": "object",
            "required": ["mean", "std", "is_bgr"],
            "additionalProperties": False,
            "properties": {"mean": _NUMBERS, "std": _NUMBERS, "is_bgr": {"type": "boolean"}},
        },
    },
}


def preprocess_from_json(values: Mapping[str, Any]) -> Preprocess:
    """Read a `Preprocess` of the form `PREPROCESS_SCHEMA`. Raises `OptionError` for values that it cannot have."""
    norm = values["normalization"]
    normalization = Normalization(mean=tuple(norm["mean"]), std=tuple(norm["std"]), is_bgr=norm["is_bgr"])
    return Preprocess(**{**values, "normalization": normalization})
