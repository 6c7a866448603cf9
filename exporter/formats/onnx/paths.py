"""How onnxruntime executes an .onnx file: a row each."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.formats.installable import missing_package
from mbexport.formats.kernel_path import KernelPath, Share

if TYPE_CHECKING:
    from mbexport.formats.runner import Runner

OPTIMIZED, UNOPTIMIZED = KERNEL_PATHS = ("optimized", "unoptimized")
# Hexagon's versions that the compiler knows, first that of the Snapdragon 8 Gen 3; what it does not know, onnxruntime
# takes for another one without a word.
HEXAGONS: Final = ("v75", "v68", "v69", "v73", "v79", "v81")


def _open(name: str, path: Path, threads: int, _variant: str) -> "Runner":
    from mbexport.formats.onnx.runner import OnnxRunner

    return OnnxRunner(path, threads=threads, path_name=name)


def _unoptimized_share(runner: "Runner") -> Share:
    from mbexport.formats.onnx.kernels import unoptimized_share

    return unoptimized_share(runner)


def _open_qnn(path: Path, threads: int, variant: str) -> "Runner":
    from mbexport.formats.onnx.qnn import QnnRunner

    return QnnRunner(path, threads=threads, hexagon=variant)


def _qnn_share(runner: "Runner") -> Share:
    from mbexport.formats.onnx.qnn import qnn_share

    return qnn_share(runner)


ONNX_PATHS: Final = (
    KernelPath(
        name=OPTIMIZED,
        title="onnxruntime with all its optimizations",
        open=partial(_open, OPTIMIZED),
        is_usual=True,
    ),
    KernelPath(
        name=UNOPTIMIZED,
        title="onnxruntime without any",
        open=partial(_open, UNOPTIMIZED),
        share=_unoptimized_share,
        is_usual=True,
    ),
    KernelPath(
        name="qnn-htp",
        title="Qualcomm's NPU, Hexagon: emulated on x86",
        open=_open_qnn,
        share=_qnn_share,
        images=16,
        variants=HEXAGONS,
        missing=partial(missing_package, "onnxruntime_qnn", "onnxruntime-qnn"),
        needs="pip install 'mbexport[npu]'",
    ),
)
