"""How LiteRT and its relatives execute a .tflite file: a row each."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.formats.installable import missing_package
from mbexport.formats.kernel_path import KernelPath, Share

if TYPE_CHECKING:
    from mbexport.formats.runner import Runner

XNNPACK, BUILTIN, REFERENCE = KERNEL_PATHS = ("xnnpack", "builtin", "reference")


def _open(name: str, path: Path, threads: int, _variant: str) -> "Runner":
    from mbexport.formats.tflite.runner import TfliteRunner

    return TfliteRunner(path, threads=threads, path_name=name)


def _delegate_share(runner: "Runner") -> Share:
    from mbexport.formats.tflite.kernels import delegate_share

    return delegate_share(runner)


def _open_webgpu(path: Path, threads: int, _variant: str) -> "Runner":
    from mbexport.formats.tflite.webgpu import WebGpuRunner

    return WebGpuRunner(path, threads=threads)


def _webgpu_share(runner: "Runner") -> Share:
    from mbexport.formats.tflite.webgpu import webgpu_share

    return webgpu_share(runner)


def _webgpu_missing() -> str | None:
    from mbexport.formats.tflite.vulkan import missing_device

    return missing_device()


def _open_micro(path: Path, threads: int, _variant: str) -> "Runner":
    from mbexport.formats.tflite.micro import MicroRunner

    return MicroRunner(path, threads=threads)


def _micro_share(runner: "Runner") -> Share:
    from mbexport.formats.tflite.micro import micro_share

    return micro_share(runner)


TFLITE_PATHS: Final = (
    KernelPath(
        name=XNNPACK,
        title="LiteRT with XNNPACK, its delegate for CPUs",
        open=partial(_open, XNNPACK),
        share=_delegate_share,
        is_usual=True,
    ),
    KernelPath(name=BUILTIN, title="LiteRT's own kernels", open=partial(_open, BUILTIN), is_usual=True),
    KernelPath(name=REFERENCE, title="LiteRT's reference kernels", open=partial(_open, REFERENCE), is_usual=True),
    KernelPath(
        name="webgpu",
        title="LiteRT's accelerator for GPUs, on WebGPU",
        open=_open_webgpu,
        share=_webgpu_share,
        missing=_webgpu_missing,
        needs="install a Vulkan driver; one in software will do: see docs/npu-gpu.md",
    ),
    KernelPath(
        name="tflite-micro",
        title="TFLite Micro's reference kernels, for microcontrollers",
        open=_open_micro,
        share=_micro_share,
        images=20,
        missing=partial(missing_package, "tflite_micro", "tflite-micro"),
        needs="pip install 'mbexport[micro]'",
    ),
)
