"""What a format does to be compiled for an NPU: the field `npu` of its row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mbexport.formats.npu.chips import Chip


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuCompiler:
    """How an int8 file of a format is compiled, and how what comes out is emulated.

    `compile` takes the file, the chip, and an empty folder for what it needs, and gives the artifact. It raises
    `DataError` where the compiler fails, leaves an op to the CPU, or gives nothing. `emulated` gives the .onnx file
    that holds the same compiled graph, for the emulator. Both run in a process of their own.
    """

    compile: Callable[[Path, Chip, Path], bytes]
    emulated: Callable[[bytes], bytes]
