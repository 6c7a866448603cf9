"""Turns what is known of one exported file into values: format, precision, tensors, hash and size."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mbexport.calibration.affine import Affine

# From a code to the byte that it is: an int8 code is the byte minus 128.
_BYTE_OFFSETS: Final = {"uint8": 0, "int8": 128}


class Format(StrEnum):
    """The file formats that are exported."""

    TFLITE = "tflite"
    ONNX = "onnx"


class ReadFormat(StrEnum):
    """The file formats that are compared with, and never exported."""

    KERAS = "keras"  # a .h5, a .keras or a SavedModel folder


class Precision(StrEnum):
    """How weights and activations are stored and computed."""

    FP32 = "fp32"
    FP16 = "fp16"  # weights in half precision, computed in float32
    INT8 = "int8"
    DYNAMIC = "dynamic"  # 8-bit weights; activations are floats, rounded to 8 bits by each op that can use that
    INT16X8 = "int16x8"  # 8-bit weights, 16-bit activations


class Layout(StrEnum):
    """The order of an .onnx file's input: height, width, channels as in an image file, or the channels first."""

    NHWC = "nhwc"
    NCHW = "nchw"


class Io(StrEnum):
    """The type of an int8 artifact's input and output tensors."""

    UINT8 = "uint8"
    INT8 = "int8"
    FLOAT32 = "float32"


# The formats that a precision is made in: ONNX has no kernels for the others that would be faster than floats.
FORMATS: Final[Mapping[Precision, tuple[Format, ...]]] = MappingProxyType(
    {
        Precision.FP32: (Format.TFLITE, Format.ONNX),
        Precision.FP16: (Format.TFLITE, Format.ONNX),
        Precision.INT8: (Format.TFLITE, Format.ONNX),
        Precision.DYNAMIC: (Format.TFLITE,),
        Precision.INT16X8: (Format.TFLITE,),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: shape (1 for a batch of any size), numpy's name of its type, what its codes stand for.

    For a float32 input that the file quantizes first thing, `affine` is that quantization; otherwise a float
    tensor has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: Affine | None = None


def for_bytes(codes: TensorSpec) -> Affine | None:
    """The quantization of 8-bit `codes`, said for bytes 0..255; None if there is none, or the codes are no bytes."""
    if codes.affine is None or codes.dtype not in _BYTE_OFFSETS:
        return None
    return Affine(scale=codes.affine.scale, zero_point=(codes.affine.zero_point[0] + _BYTE_OFFSETS[codes.dtype],))


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One exported file, or one that is compared with such, as it was read back from the disk."""

    format: Format | ReadFormat
    precision: Precision
    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An artifact to be made: its file name, its precision, the classes that its scores are of."""

    name: str
    precision: Precision
    labels: tuple[str, ...]


def file_name(stem: str, precision: Precision, file_format: Format) -> str:
    """The name of an artifact: `<stem>_<precision>.<format>`."""
    return f"{stem}_{precision.value}.{file_format.value}"
