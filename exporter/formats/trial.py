"""Try files that this run did not make in a process beside this one, which may crash in its place.

Runtimes trust what they load: a damaged file ends the process, or never ends. So a process of its own opens and runs
each file once before this one does (decision 0034). It is started before this one loads its libraries, works while
these are loaded, and serves all files.
"""

import atexit
import contextlib
import json
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Final

from mbexport.errors import DataError
from mbexport.formats.file_format import FileFormat
from mbexport.formats.registry import format_of, loaded_runtime
from mbexport.formats.trial_process import MAX_CPU_S, MAX_MEMORY_BYTES

# -P: nothing that lies in the user's folder by chance is imported.
_COMMAND: Final = ("-P", "-m", "mbexport.formats.trial_process")
_MAX_S: Final = 600  # without an answer, however busy the machine is; the process counts its own processor time
_PATIENCE_S: Final = 1.0  # between two looks at its memory


class _DiedError(Exception):
    """The process did not survive a file; the message says how it ended."""


class _Process:
    """A process that tries one file after the other, and answers in their order."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        Thread(target=self._listen, daemon=True).start()

    def ask(self, file_format: FileFormat, path: Path | None = None, **limits: int) -> None:
        """Begin to try a file; without one, to load what files of that format need."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died; `answer` says so
            question = {"format": file_format.name, "path": path and str(path), "cwd": str(Path.cwd()), **limits}
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()

    def answer(self) -> str | None:
        """Why the next file cannot be used, None if it can. Raises `_DiedError` if the process did not survive it."""
        end = time.monotonic() + _MAX_S
        while True:
            try:
                line = self._answers.get(timeout=_PATIENCE_S)
            except queue.Empty:
                if time.monotonic() > end:
                    raise _DiedError(f"did not answer within {_MAX_S} s") from None
                self._require_memory()
                continue
            if not line:
                raise _DiedError(death(self._process.wait()))
            error: str | None = json.loads(line)["error"]
            return error

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _require_memory(self) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            if psutil.Process(self._process.pid).memory_info().rss > MAX_MEMORY_BYTES:
                raise _DiedError(f"took more than {MAX_MEMORY_BYTES >> 30} GiB of memory")


_idle: Final[list[_Process]] = []  # one at most, for the next files of this run


def warm_up(files: Sequence[Path]) -> None:
    """Start the process for these files, so that it loads its libraries while this one loads its own."""
    used = {row.name: row for row in map(format_of, files) if row.load is not None}
    process = _taken()
    for file_format in used.values():
        process.ask(file_format)
    _idle.append(process)


def require_harmless(files: Sequence[Path], *, all_kernels: bool = False) -> None:
    """Try each file as its format says. Raises `DataError` for one that cannot be used, or that ends the process.

    With `all_kernels` it is run by each of the runtime's kernels, for whoever compares them.
    """
    try_as([(path, format_of(path)) for path in files], cpu_s=MAX_CPU_S, all_kernels=all_kernels)


def try_as(files: Sequence[tuple[Path, FileFormat]], *, cpu_s: int = MAX_CPU_S, all_kernels: bool = False) -> None:
    """The same for files of which the format is known; one may take `cpu_s` of processor time, and more for a batch."""
    process = _taken()
    for path, file_format in files:
        process.ask(file_format, path, cpu_s=cpu_s, all_kernels=all_kernels)
    for file_format in {row.name: row for _, row in files if row.load is not None}.values():
        loaded_runtime(file_format)  # meanwhile, what this process needs next
    waiting = len(files)
    try:
        for path, file_format in files:
            error = _answer(process, path, file_format)
            waiting -= 1
            if error is not None:
                raise DataError(error)
    finally:
        if waiting:  # it has died, or is busy with the next file
            process.end()
        else:
            _idle.append(process)


def _answer(process: _Process, path: Path, file_format: FileFormat) -> str | None:
    try:
        return process.answer()
    except _DiedError as death:
        raise DataError(
            f"{path} cannot be used: {file_format.runtime} {death}, when a process of its own opened it"
        ) from None


def _taken() -> _Process:
    """The idle process, if it is still there, or a new one."""
    while _idle:
        process = _idle.pop()
        if process.is_alive:
            return process
    return _Process()


@atexit.register
def _end_idle() -> None:
    for process in _idle:
        process.end()


def death(code: int) -> str:
    """How a process with that exit code ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    if name == "SIGXCPU":
        return "took too much processor time"
    return f"was killed ({name})" if name == "SIGKILL" else f"crashed ({name})"
