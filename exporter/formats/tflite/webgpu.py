"""Run .tflite files in LiteRT's accelerator for GPUs, on WebGPU."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share, counted
from mbexport.formats.runner import Runner, first_line
from mbexport.formats.tflite.paths import BUILTIN
from mbexport.formats.tflite.runner import TfliteRunner
from mbexport.formats.tflite.vulkan import device_names
from mbexport.quiet import errors_read

_COUNTS: Final = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+) operations", re.ASCII)
_NEIGHBOURS: Final = "others beside them"
_NO_ADAPTER: Final = "No adapters found"  # what WebGPU needs is more than to be a device of Vulkan


class WebGpuRunner(TfliteRunner):
    """A .tflite file in LiteRT's CompiledModel on the GPU; what that does not take, the CPU executes.

    `is_whole` says whether the GPU took all of it. LiteRT's interpreter reads the file, and executes nothing.
    """

    runtime = "litert, WebGPU"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        super().__init__(path, threads=threads, path_name=BUILTIN)
        from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator

        both = HardwareAccelerator.GPU | HardwareAccelerator.CPU
        try:
            with errors_read() as self._said:
                self._compiled = CompiledModel.from_file(str(path), hardware_accel=both)
            self._buffers = self._compiled.create_input_buffers(0), self._compiled.create_output_buffers(0)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path} cannot be compiled for the GPU: {_reason(self.said, error)}") from None
        self.is_whole = bool(self._compiled.is_fully_accelerated())
        self._places = self._places_of_outputs()

    @property
    def said(self) -> tuple[str, ...]:
        """What LiteRT wrote to the standard error while it compiled the file."""
        return tuple(self._said)

    def _places_of_outputs(self) -> list[int]:
        """Where the compiled file has each output of the interpreter: they may come in another order."""
        signature = self._compiled.get_signature_by_index(0)
        details = self._compiled.get_output_tensor_details(signature["key"])
        tensors = [details[name]["index"] for name in signature["outputs"]]
        return [tensors.index(target) for target in self._targets]

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        sources, targets = self._buffers
        sources[0].write(np.ascontiguousarray(feed))
        self._compiled.run_by_index(0, sources, targets)
        return [
            targets[place].read(int(np.prod(output.shape)), np.dtype(output.dtype)).reshape(output.shape)
            for place, output in zip(self._places, self.outputs, strict=True)
        ]


def _reason(said: Sequence[str], error: Exception) -> str:
    """Why nothing was compiled: LiteRT's log knows what its error does not say."""
    if any(_NO_ADAPTER in line for line in said):
        return f"WebGPU takes none of the devices here{''.join(f', {name}' for name in _devices())}"
    return first_line(error)


def webgpu_share(runner: Runner) -> Share:
    """All ops or, by what LiteRT says in its log alone, so many. Raises `DataError` for a runner of another path."""
    if not isinstance(runner, WebGpuRunner):
        raise DataError(f"{runner.path} must be compiled for the GPU, got {runner.runtime}")
    ops = [op["op_name"] for op in runner.op_details()]
    if runner.is_whole:
        return Share(taken=len(ops), total=len(ops), device=_device())
    taken, left = _taken(runner.said, ops)
    return Share(taken=taken, total=len(ops), left=left, device=_device())


def _taken(said: Sequence[str], ops: Sequence[str]) -> tuple[int | None, tuple[tuple[str, int], ...]]:
    """How many of the ops the GPU takes, and which it does not; None where the log does not say so.

    The log names those that the GPU has no shaders for, and counts all that stay on the CPU, which has their
    neighbours, too.
    """
    counts = [found for line in said if (found := _COUNTS.match(line))]
    if not counts:
        return None, ()
    taken, rest = map(int, counts[-1].groups())
    unknown = {line.partition(":")[0].split(" ")[-1] for line in said if ":" in line}
    named = counted(op for op in ops if op in unknown)
    others = rest - sum(count for _, count in named)
    return taken, named + (((_NEIGHBOURS, others),) if others > 0 else ())


def _device() -> str | None:
    """The first of Vulkan's devices, which WebGPU takes; None where there is another interface."""
    return next(iter(_devices()), None)


def _devices() -> tuple[str, ...]:
    try:
        return device_names()
    except DataError:
        return ()
