"""The row of ONNX in the registry of formats: what onnxruntime runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.file_format import Conversion, FileFormat, Marker
from mbexport.formats.npu.chips import Chip
from mbexport.formats.npu.compiler import NpuCompiler
from mbexport.formats.onnx.paths import ONNX_PATHS
from mbexport.formats.tflite.format import TFLITE

if TYPE_CHECKING:
    from mbexport.formats.delegates.op import Op
    from mbexport.formats.detection_tail import DetectionTail
    from mbexport.formats.kernels import Kernels
    from mbexport.formats.loader import Loader
    from mbexport.formats.runner import Runner

# How protobuf begins an onnx.ModelProto: ir_version, one of those since 2017, then the tag of producer_name,
# producer_version, domain, model_version, doc_string, graph or opset_import.
_IR_VERSION: Final = 0x08
_IR_VERSIONS: Final = range(3, 32)
_NEXT_FIELDS: Final = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


def _recognizes(head: bytes) -> bool:
    tag, version, following = (*head[:3], 0, 0, 0)[:3]
    return tag == _IR_VERSION and version in _IR_VERSIONS and following in _NEXT_FIELDS


def _source(precision: Precision) -> Precision:
    """The .tflite that an .onnx is made from: fp16 is made from fp32, all others from their own precision."""
    return Precision.FP32 if precision is Precision.FP16 else precision


def _convert(conversion: Conversion) -> bytes:
    from mbexport.formats.onnx.convert import onnx_file

    return onnx_file(conversion)


def _check(path: Path) -> None:
    from mbexport.formats.onnx.structure import require_sound

    try:
        require_sound(path)
    except DataError as error:
        raise DataError(f"{path} is not an .onnx file that can be loaded: {error}") from None


def _open(path: Path, threads: int) -> "Runner":
    from mbexport.formats.onnx.runner import OnnxRunner

    return OnnxRunner(path, threads=threads)


def _kernels(runner: "Runner") -> "Kernels":
    from mbexport.formats.onnx.kernels import onnx_kernels

    return onnx_kernels(runner)


def _load(threads: int) -> "Loader":
    from mbexport.formats.onnx.loader import onnxruntime_loader

    return onnxruntime_loader(threads)


def _ops(path: Path) -> "list[Op]":
    from mbexport.formats.delegates.onnx_ops import onnx_ops

    return onnx_ops(path)


def _labels(runner: "Runner") -> tuple[str, ...] | None:
    from mbexport.formats.onnx.runner import labels_property

    return labels_property(runner.metadata().get("labels"))


def _tail(content: bytes) -> "DetectionTail | None":
    from mbexport.formats.onnx.detection_core import detection_tail_of

    return detection_tail_of(content)


def _core(content: bytes) -> bytes:
    from mbexport.formats.onnx.detection_core import without_detection_tail

    return without_detection_tail(content)


def _compile(source: Path, chip: Chip, folder: Path) -> bytes:
    from mbexport.formats.onnx.qnn_context import compile_context

    return compile_context(source, chip, folder)


ONNX: Final = FileFormat(
    name="onnx",
    title="ONNX",
    endings=(".onnx",),
    recognizes=_recognizes,
    marker=Marker(chart="s", path="M1.5 1.5h9v9h-9z"),
    # onnxruntime has no kernels for the other precisions that would be faster than floats.
    precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    options=lambda _: ("layout", "opset"),
    made_from=TFLITE,
    source=_source,
    convert=_convert,
    runtime="onnxruntime",
    check=_check,
    open=_open,
    paths=ONNX_PATHS,
    kernels=_kernels,
    labels=_labels,
    tail=_tail,
    core=_core,
    load=_load,
    npu=NpuCompiler(compile=_compile, emulated=lambda content: content),
    ops=_ops,
)
