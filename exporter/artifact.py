"""Turns what is known of one exported file into values: format, precision, tensors, hash and size."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mbexport.calibration.affine import Affine


class Format(StrEnum):
    """The file formats that are exported."""

    TFLITE = "tflite"
    ONNX = "onnx"


class Precision(StrEnum):
    """How weights and activations are stored and computed."""

    FP32 = "fp32"
    INT8 = "int8"


class Io(StrEnum):
    """The type of an int8 artifact's input and output tensors."""

    UINT8 = "uint8"
    INT8 = "int8"
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: shape with 1 for the batch, numpy's name of its type, and what its codes stand for.

    For a float32 input that the file quantizes first thing, `affine` is that quantization; otherwise a float
    tensor has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: Affine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One exported file, as it was read back from the disk."""

    format: Format
    precision: Precision
    path: Path
    sha256: str
    size_bytes: int


def file_name(stem: str, precision: Precision, file_format: Format) -> str:
    """The name of an artifact: `<stem>_<precision>.<format>`."""
    return f"{stem}_{precision.value}.{file_format.value}"
