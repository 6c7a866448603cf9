"""Turns the choices of an .onnx file's form into checked values; light, so that the command line can read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mbexport.artifact import Layout
from mbexport.errors import OptionError

OPSET: Final = 17  # phones carry old runtimes: onnxruntime 1.12 (2022) reads this opset
# Quantization per channel begins with 13; onnxruntime 1.23, the oldest that we take, ends with 23 (their changelogs).
OPSETS: Final = range(13, 24)


def require_opset(opset: int) -> int:
    """The same opset. Raises `OptionError` for one in which not every artifact can be written."""
    if opset not in OPSETS:
        raise OptionError(f"opset must be from {OPSETS[0]} to {OPSETS[-1]}, got {opset}")
    return opset


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxForm:
    """The input's layout, the opset, and what the file says of itself in words, by name."""

    layout: Layout = Layout.NHWC
    opset: int = OPSET
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_opset(self.opset)
