"""Exported files as values: precision, layout and types; names, tensors, hash and size; the labels beside them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.errors import DataError, OptionError

if TYPE_CHECKING:
    from mbexport.calibration.affine import Affine

LABELS: Final = "labels.txt"
RAW: Final = "_raw"  # ends the stem of a detector's file whose heads apps decode
# Add this to a code to get its byte: an int8 code is the byte minus 128.
_BYTE_OFFSETS: Final = {"uint8": 0, "int8": 128}
OPSET: Final = 17  # phones carry old runtimes: onnxruntime 1.12 (2022) reads this opset
# Quantization per channel begins with 13; onnxruntime 1.23, the oldest that we take, ends with 23 (their changelogs).
OPSETS: Final = range(13, 24)


def labels_file(names: Iterable[str]) -> bytes:
    """The content of labels.txt for these names, none of which has a line break."""
    return "".join(f"{name}\n" for name in names).encode()


def labels_in(content: bytes) -> tuple[str, ...]:
    """The names in the content that `labels_file` wrote. Raises `DataError` for what is no text."""
    try:
        return tuple(content.decode().split("\n")[:-1])
    except UnicodeDecodeError:
        raise DataError(f"{LABELS} must be text in UTF-8, got other bytes") from None


class Precision(StrEnum):
    """How weights and activations are stored and computed."""

    FP32 = "fp32"
    FP16 = "fp16"  # weights in half precision, computed in float32
    INT8 = "int8"
    DYNAMIC = "dynamic"  # 8-bit weights; activations are floats, rounded to 8 bits by each op that can use that
    INT16X8 = "int16x8"  # 8-bit weights, 16-bit activations


class Layout(StrEnum):
    """The order of the axes of an .onnx file's input: channels last, as in an image file, or first."""

    NHWC = "nhwc"
    NCHW = "nchw"


class Io(StrEnum):
    """The type of an int8 artifact's input and output tensors."""

    UINT8 = "uint8"
    INT8 = "int8"
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output: its shape (1 for a batch of any size), numpy's name of its type, the scale of its codes.

    For a float32 input that the file quantizes first thing, `affine` is that quantization; otherwise a float
    tensor has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: "Affine | None" = None


def for_bytes(codes: TensorSpec) -> "Affine | None":
    """The quantization of 8-bit `codes` in terms of bytes 0..255; None without one, or if the codes have not 8 bits."""
    from mbexport.calibration.affine import Affine  # numpy, which the command line does without

    if codes.affine is None or codes.dtype not in _BYTE_OFFSETS:
        return None
    return Affine(scale=codes.affine.scale, zero_point=(codes.affine.zero_point[0] + _BYTE_OFFSETS[codes.dtype],))


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One artifact, exported or compared with exported ones, as it was read back from the disk."""

    format: str
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


def file_name(stem: str, precision: Precision, file_format: str, *, is_raw: bool = False) -> str:
    """The name of an artifact: `<stem>_<precision>.<format>`, or `<stem>_<precision>_raw.<format>`."""
    return f"{stem}_{precision.value}{RAW if is_raw else ''}.{file_format}"


def require_opset(opset: int) -> int:
    """`opset` itself. Raises `OptionError` for one in which not every artifact can be written."""
    if opset not in OPSETS:
        raise OptionError(f"opset must be from {OPSETS[0]} to {OPSETS[-1]}, got {opset}")
    return opset


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxForm:
    """How an .onnx file is written: name of the graph, layout of the input, opset, metadata properties by name."""

    graph_name: str
    layout: Layout = Layout.NHWC
    opset: int = OPSET
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_opset(self.opset)
