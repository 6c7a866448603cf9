"""Turns the path of an artifact into a runner of its format, and names the kernels that it can be run with."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mbexport.artifact import Format, ReadFormat
from mbexport.errors import DataError, OptionError
from mbexport.runtimes.keras_runner import KerasRunner
from mbexport.runtimes.onnx_runner import ONNX_PATHS, OnnxRunner
from mbexport.runtimes.runner import Runner
from mbexport.runtimes.tflite_runner import TFLITE_PATHS, TfliteRunner

RUNNERS: Final[Mapping[Format | ReadFormat, type[TfliteRunner] | type[OnnxRunner] | type[KerasRunner]]] = (
    MappingProxyType({Format.TFLITE: TfliteRunner, Format.ONNX: OnnxRunner, ReadFormat.KERAS: KerasRunner})
)
# The kernels that each format can be run with; the first are what its runtime takes by itself.
KERNEL_PATHS: Final[Mapping[Format | ReadFormat, tuple[str, ...]]] = MappingProxyType(
    {Format.TFLITE: tuple(TFLITE_PATHS), Format.ONNX: tuple(ONNX_PATHS), ReadFormat.KERAS: ()}
)
_ENDINGS: Final[Mapping[str, Format | ReadFormat]] = MappingProxyType(
    {
        ".tflite": Format.TFLITE,
        ".onnx": Format.ONNX,
        ".keras": ReadFormat.KERAS,
        ".h5": ReadFormat.KERAS,
        ".hdf5": ReadFormat.KERAS,
    }
)
_SAVED_MODEL: Final = "saved_model.pb"


def format_of(path: Path) -> Format | ReadFormat:
    """The format that the file's name ends in. Raises `DataError` for another ending or a missing file."""
    if (path / _SAVED_MODEL).is_file():
        return ReadFormat.KERAS
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        raise DataError(
            f"an artifact must end in .tflite or .onnx, or be a Keras .keras, .h5 or SavedModel folder, got {path}"
        )
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    return found


def open_runner(path: Path, *, threads: int = 1) -> Runner:
    """The artifact at `path`, loaded with `threads` threads. Raises `DataError` if it cannot be."""
    return RUNNERS[format_of(path)](path, threads=threads)


def open_path(path: Path, name: str, *, threads: int = 1) -> Runner:
    """The same with the kernels of that name, one of `KERNEL_PATHS`. Raises `OptionError` for another."""
    file_format = format_of(path)
    if name not in KERNEL_PATHS[file_format]:
        legal = ", ".join(KERNEL_PATHS[file_format]) or "none"
        raise OptionError(f"the kernels of a {file_format} file must be one of {legal}, got {name}")
    if file_format is Format.TFLITE:
        return TfliteRunner(path, threads=threads, path_name=name)
    return OnnxRunner(path, threads=threads, path_name=name)
