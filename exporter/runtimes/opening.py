"""Turns the path of an artifact into a runner of its format."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mbexport.artifact import Format
from mbexport.errors import DataError
from mbexport.runtimes.onnx_runner import OnnxRunner
from mbexport.runtimes.runner import Runner
from mbexport.runtimes.tflite_runner import TfliteRunner

RUNNERS: Final[Mapping[Format, type[TfliteRunner] | type[OnnxRunner]]] = MappingProxyType(
    {Format.TFLITE: TfliteRunner, Format.ONNX: OnnxRunner}
)


def format_of(path: Path) -> Format:
    """The format that the file's name ends in. Raises `DataError` for another ending or a missing file."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in {file_format.value for file_format in Format}:
        raise DataError(f"an artifact must end in .tflite or .onnx, got {path}")
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    return Format(suffix)


def open_runner(path: Path, *, threads: int = 1) -> Runner:
    """The artifact at `path`, loaded with `threads` threads. Raises `DataError` if it cannot be."""
    return RUNNERS[format_of(path)](path, threads=threads)
