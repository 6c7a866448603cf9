"""Compare what was compiled for an NPU with its source on the CPU: the emulator runs the compiled graph itself."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from mbexport.errors import DataError
from mbexport.formats.npu.chips import Chip
from mbexport.formats.path_runner import PathRunner
from mbexport.formats.registry import format_of, open_path
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Subject
from mbexport.models.data.open import ImageSet
from mbexport.models.preprocess import Preprocess
from mbexport.verification.classification.kernel_paths import PathPair, compare_paths
from mbexport.verification.classification.serialize import pair_of_paths_json

Json = dict[str, Any]
_EMULATOR: Final = "qnn-htp"  # the kernel path of .onnx files


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFile:
    """A compiled artifact: the chip, and the .onnx file by which its graph is emulated."""

    chip: Chip
    graph: Path


def compare_compiled(
    subject: Subject, compiled: CompiledFile, images: ImageSet, pixels: Preprocess, *, most: int
) -> Json:
    """The answers of the compiled graph beside those of `subject`, its source, on at most `most` images.

    A graph that cannot be emulated, or that ends its process, is an entry with the reason.
    """
    file = subject.runner.path
    cpu = format_of(file).kernel_paths[0]
    npu = f"{_EMULATOR}:{compiled.chip.hexagon}"
    try:
        with closing(PathRunner(subject.runner, npu, file=compiled.graph)) as runner:
            openers = {
                cpu: partial(_run_by, subject, lambda: open_path(file, cpu)),
                npu: partial(_run_by, subject, lambda: runner),
            }
            found = compare_paths(openers, images, pixels, file=subject.name, most=most)
        (pair,), count = found.pairs, found.images
    except DataError as error:
        pair, count = PathPair.failed(cpu, npu, str(error)), 0
    return {"images": count, **pair_of_paths_json(pair)}


def _run_by(subject: Subject, opened: Callable[[], Runner]) -> Subject:
    return replace(subject, runner=opened())
