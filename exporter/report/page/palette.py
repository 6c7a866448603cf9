"""The colour of each precision in charts and keys."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mbexport.report.page.numbers import Json
from mbexport.report.page.svg import DYNAMIC, FP16, FP32, INK, INT8, INT16X8

COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {"fp32": FP32, "fp16": FP16, "int8": INT8, "dynamic": DYNAMIC, "int16x8": INT16X8}
)


def colour(entry: Json) -> str:
    """The colour of the artifact's precision; the format decides the shape of its marker."""
    return COLOURS.get(entry["precision"], INK)
