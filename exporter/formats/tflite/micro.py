"""Run .tflite files in TFLite Micro, as a microcontroller does, and find the memory that they need there."""

from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share
from mbexport.formats.runner import Runner, first_line
from mbexport.formats.tflite.paths import BUILTIN
from mbexport.formats.tflite.runner import TfliteRunner

_STEP_BYTES: Final = 1 << 10
_MOST_BYTES: Final = 1 << 30  # of one arena; a microcontroller has a thousandth of it


class MicroRunner(TfliteRunner):
    """A .tflite file in TFLite Micro's interpreter, on one thread. LiteRT reads the file, and executes nothing.

    `arena_bytes` is the smallest arena, to the next KiB, that the file can be loaded into.
    """

    runtime = "tflite-micro"

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        super().__init__(path, threads=threads, path_name=BUILTIN)
        content = path.read_bytes()
        self.arena_bytes = _smallest_arena(content, path)
        self._micro = _loaded(content, self.arena_bytes)

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        self._micro.set_input(feed, 0)
        self._micro.invoke()
        return [self._micro.get_output(place).copy() for place in range(len(self._targets))]


def _loaded(content: bytes, arena_bytes: int) -> Any:
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)


def _smallest_arena(content: bytes, path: Path) -> int:
    """The smallest arena in whole KiB, found by halving. Raises `DataError` for a file that fits into none."""
    too_few, enough = 0, max(1, len(content) // _STEP_BYTES)
    while (reason := _failure(content, enough)) is not None:
        too_few, enough = enough, 2 * enough
        if enough * _STEP_BYTES > _MOST_BYTES:
            raise DataError(f"{path} cannot be loaded into TFLite Micro: {reason}")
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _failure(content, middle) is None:
            enough = middle
        else:
            too_few = middle
    return enough * _STEP_BYTES


def _failure(content: bytes, steps: int) -> str | None:
    """Why the file cannot be loaded into an arena of so many KiB; None if it can."""
    try:
        _loaded(content, steps * _STEP_BYTES)
    except (RuntimeError, ValueError) as error:
        return first_line(error)
    return None


def micro_share(runner: Runner) -> Share:
    """The whole graph: there is nothing to fall back to. Raises `DataError` for a runner of another path."""
    if not isinstance(runner, MicroRunner):
        raise DataError(f"{runner.path} must be opened by TFLite Micro, got {runner.runtime}")
    total = len(runner.op_details())
    return Share(taken=total, total=total, arena_bytes=runner.arena_bytes)
