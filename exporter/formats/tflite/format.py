"""The row of TFLite in the registry of formats: what LiteRT runs on phones."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.file_format import Conversion, FileFormat, Marker
from mbexport.formats.npu.chips import Chip
from mbexport.formats.npu.compiler import NpuCompiler
from mbexport.formats.tflite.paths import TFLITE_PATHS

if TYPE_CHECKING:
    from mbexport.formats.delegates.op import Op
    from mbexport.formats.detection_tail import Decoding, DetectionTail
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.loader import Loader
    from mbexport.formats.runner import Runner

_IDENTIFIER: Final = b"TFL3"  # tensorflow/lite/schema/schema.fbs: behind the position of the root


def _convert(conversion: Conversion) -> bytes:
    from mbexport.formats.tflite.convert import tflite_file

    return tflite_file(conversion)


def _check(path: Path) -> None:
    from mbexport.formats.tflite.structure import require_sound

    try:
        require_sound(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path} is not a .tflite file that can be loaded: {error}") from None


def _open(path: Path, threads: int) -> "Runner":
    from mbexport.formats.tflite.runner import TfliteRunner

    return TfliteRunner(path, threads=threads)


def _kernels(runner: "Runner") -> "Kernels":
    from mbexport.formats.tflite.kernels import tflite_kernels

    return tflite_kernels(runner)


def _load(threads: int) -> "Loader":
    from mbexport.formats.tflite.loader import litert

    return litert(threads)


def _ops(path: Path) -> "list[Op]":
    from mbexport.formats.delegates.tflite_ops import tflite_ops

    return tflite_ops(path)


def _labels(runner: "Runner") -> tuple[str, ...] | None:
    from mbexport.formats.tflite.metadata import attached_labels

    return attached_labels(runner.path)


def _tail(content: bytes) -> "DetectionTail | None":
    from mbexport.formats.tflite.detection_core import detection_tail_of

    return detection_tail_of(content)


def _core(content: bytes) -> bytes:
    from mbexport.formats.tflite.detection_core import without_detection_tail

    return without_detection_tail(content)


def _decoding(content: bytes) -> "Decoding | None":
    from mbexport.formats.tflite.metadata import decoding_of

    return decoding_of(content)


def _compile(source: Path, chip: Chip, folder: Path) -> bytes:
    from mbexport.formats.tflite.aot import compile_aot

    return compile_aot(source, chip, folder)


def _emulated(content: bytes) -> bytes:
    from mbexport.formats.tflite.aot import emulated

    return emulated(content)


TFLITE: Final = FileFormat(
    name="tflite",
    title="TFLite",
    endings=(".tflite", ".lite"),
    recognizes=lambda head: head[4:8] == _IDENTIFIER,
    marker=Marker(chart="o", path="M6 1a5 5 0 1 0 .01 0z"),
    precisions=tuple(Precision),
    raw_precisions=(Precision.FP32, Precision.INT8),
    options=lambda precision: ("io",) if precision is Precision.INT8 else (),
    convert=_convert,
    runtime="LiteRT",
    check=_check,
    open=_open,
    paths=TFLITE_PATHS,
    kernels=_kernels,
    labels=_labels,
    tail=_tail,
    core=_core,
    decoding=_decoding,
    load=_load,
    android_tool="benchmark_model",
    npu=NpuCompiler(compile=_compile, emulated=_emulated),
    ops=_ops,
)
