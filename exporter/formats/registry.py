"""The file formats, a row each: from them follow the choices of `--format`, the stages of an export, `doctor`,
charts, legends and the enumerations of the report's schema."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.coreml.rows import is_package
from mbexport.formats.file_format import FileFormat
from mbexport.formats.keras.format import KERAS
from mbexport.formats.kernel_path import Share
from mbexport.formats.onnx.format import ONNX
from mbexport.formats.tflite.format import TFLITE

if TYPE_CHECKING:
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.loader import Loader
    from mbexport.formats.runner import Runner

FORMATS: Final = (TFLITE, ONNX, KERAS)
EXPORTED: Final = tuple(each for each in FORMATS if each.convert is not None)
_SAVED_MODEL: Final = "saved_model.pb"
_HEAD_BYTES: Final = 64


def formats_of(precision: Precision) -> tuple[str, ...]:
    """The names of the formats that this precision is exported in."""
    return tuple(each.name for each in EXPORTED if precision in each.precisions)


def format_of(path: Path) -> FileFormat:
    """The format of a file: that of its content or, where no content is recognized, that of its ending.

    Raises `DataError` for a missing file, for one of neither, and for a path that is no text.
    """
    if (path / _SAVED_MODEL).is_file():
        return KERAS
    is_named = [each for each in FORMATS if path.suffix.lower() in each.endings]
    if not path.exists() or (is_named and not path.is_file()):
        raise DataError(f"no such file: {path}")
    if is_package(path):
        raise DataError(f"{path} is a Core ML package, which runs on macOS and iOS alone; `mbexport inspect` shows it")
    head = _head(path)
    found = [each for each in FORMATS if each.recognizes(head)] or is_named
    if found:
        _require_utf8(path)
        return found[0]
    exported = " or ".join(each.endings[0] for each in EXPORTED)
    raise DataError(
        f"an artifact must end in {exported}, or be a Keras .keras, .h5 or SavedModel folder, or hold what these hold "
        f"under another name, got {path}"
    )


def _head(path: Path) -> bytes:
    """The first bytes of a file; none of what is no regular file, or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _require_utf8(path: Path) -> None:
    """Raises `DataError` for a path that no runtime opens: they take text, in which there is no other byte."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(f"the path of an artifact must be UTF-8; rename {path}") from None


def open_runner(path: Path, *, threads: int = 1) -> "Runner":
    """The artifact at `path`, loaded with `threads` threads. Raises `DataError` if it cannot be."""
    return format_of(path).open(path, threads)


def open_path(path: Path, name: str, *, threads: int = 1) -> "Runner":
    """The same with the kernels of that name, one of its format's. Raises `OptionError` for another."""
    found, variant = format_of(path).path_named(name)
    return found.open(path, threads, variant)


def share_of(runner: "Runner", name: str) -> "Share":
    """The part of a graph that the path of that name, which `runner` is of, takes: all of it, if nothing is left over.

    Raises `OptionError` for a path of another format.
    """
    row, _ = format_of(runner.path).path_named(name)
    if row.share is not None:
        return row.share(runner)
    total = sum(kernels.count for kernels in kernels_of(runner).rows)
    return Share(taken=total, total=total)


def kernels_of(runner: "Runner") -> "Kernels":
    """The kernels of what the runtime executes: onnxruntime's own record of one run, LiteRT's ops and partitions.

    A Keras file has none. Raises `DataError` for an artifact that loads but cannot be run.
    """
    return format_of(runner.path).kernels(runner)


def loaded_runtime(file_format: FileFormat, *, threads: int = 1) -> "Loader":
    """Loads the runtime of that format, and gives what loads files into it.

    Raises `DataError` for a format that no app runs.
    """
    if file_format.load is None:
        timed = " or ".join(f".{each.name}" for each in FORMATS if each.load is not None)
        raise DataError(f"what is timed must be a {timed} file, got a {file_format.title} model, which no app runs")
    return file_format.load(threads)
