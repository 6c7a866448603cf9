"""The size of a network's input, square or not, and the one way in which it is spelt everywhere.

Options, file names, metadata and JSON write 96 for a square input and "96x128" for another one: height x width, as
in the shape of the tensor.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mbexport.errors import OptionError

_TEXT: Final = re.compile(r"0*([0-9]{1,9})(?:x0*([0-9]{1,9}))?", re.ASCII)
# What `Resolution.json` makes; {"type": "integer"} alone is what earlier versions wrote.
RESOLUTION_SCHEMA: Final[Mapping[str, Any]] = MappingProxyType(
    {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[1-9][0-9]*x[1-9][0-9]*$"}]}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The height and the width of an image in pixels. Raises `OptionError` unless both are at least 1."""

    height_px: int
    width_px: int

    def __post_init__(self) -> None:
        if not (self.height_px >= 1 and self.width_px >= 1):
            raise OptionError(f"resolution must be at least 1 pixel a side, got {self}")

    @classmethod
    def square(cls, side_px: int) -> "Resolution":
        """The resolution of a square image."""
        return cls(height_px=side_px, width_px=side_px)

    @classmethod
    def parse(cls, value: "int | str") -> "Resolution":
        """Read what `json` or `str` gave: 96, "96" or "96x128". Raises `OptionError` for anything else."""
        found = _TEXT.fullmatch(str(value))
        if found is None:
            raise OptionError(f"resolution must be PX or HEIGHTxWIDTH, for example 96 or 96x128, got {value}")
        height, width = found.groups()
        return cls(height_px=int(height), width_px=int(width or height))

    @property
    def is_square(self) -> bool:
        """Whether both sides are the same."""
        return self.height_px == self.width_px

    @property
    def sides_px(self) -> tuple[int, int]:
        """Height and width, in this order."""
        return self.height_px, self.width_px

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height_px * self.width_px

    @property
    def mean_side_px(self) -> float:
        """The side of the square of as many pixels: the side itself where both are the same."""
        return math.sqrt(self.pixels)

    @property
    def json(self) -> "int | str":
        """The side of a square, else "HEIGHTxWIDTH": what `parse` reads."""
        return self.height_px if self.is_square else str(self)

    @property
    def extent(self) -> str:
        """Both sides in words for people: "96 x 96"."""
        return f"{self.height_px} x {self.width_px}"

    def strided(self, stride: int) -> "Resolution":
        """The size of the map that a layer with this stride makes, where a part of a pixel counts as one."""
        return Resolution(height_px=-(-self.height_px // stride), width_px=-(-self.width_px // stride))

    def __str__(self) -> str:
        return str(self.height_px) if self.is_square else f"{self.height_px}x{self.width_px}"
