"""Run a file through a kernel path in a process beside this one, which a plug-in's crash does not end."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any, Final

from numpy.typing import NDArray

from mbexport.errors import DataError
from mbexport.formats.kernel_path import Share
from mbexport.formats.path_process import JSON_START, arrays_from_bytes, arrays_to_bytes, receive, send
from mbexport.formats.runner import ConvLayer, Runner
from mbexport.formats.trial import death

# -P: nothing that lies in the user's folder by chance is imported.
_COMMAND: Final = ("-P", "-m", "mbexport.formats.path_process")
_MAX_S: Final = 600  # without an answer; the process counts its own processor time


class PathProcess:
    """A file that is opened through the path of that name by a process of its own; `share` is what the path takes.

    Raises `DataError` for a file that cannot be opened so, or that ends the process.
    """

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name
        self._process = subprocess.Popen(
            [sys.executable, *_COMMAND, str(file), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            said = json.loads(self._received())
            self._require_none(said)
        except BaseException:
            self.close()
            raise
        self.share = Share(**{**said["share"], "left": tuple(map(tuple, said["share"]["left"]))})

    def invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for a batch. Raises `DataError` where there are none."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died; `_received` says so
            send(self._process.stdin, arrays_to_bytes([feed]))
        content = self._received()
        if content.startswith(JSON_START):
            self._require_none(json.loads(content))
        return arrays_from_bytes(content)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()

    def _received(self) -> bytes:
        assert self._process.stdout is not None
        watch = Timer(_MAX_S, self._process.kill)
        watch.start()
        try:
            content = receive(self._process.stdout)
        finally:
            watch.cancel()
        if content is None:
            code = self._process.wait()
            raise DataError(f"{self._name} {death(code)}, in a process of its own, with {self._file.name}")
        return content

    @staticmethod
    def _require_none(said: dict[str, Any]) -> None:
        if said["error"] is not None:
            raise DataError(said["error"])


class PathRunner(Runner):
    """The file of another runner, executed through the path of that name by a process of its own.

    What the file holds, the other runner says. The process opens `file`, if it is given: one that was made of the other
    runner's, with the same inputs and outputs. Raises `DataError` as `PathProcess` does.
    """

    def __init__(self, like: Runner, name: str, *, file: Path | None = None) -> None:
        super().__init__(like.path, like.input, *like.outputs)
        self.name, self.precision, self.rescaling = like.name, like.precision, like.rescaling
        self.runtime = name
        self._like, self._process = like, PathProcess(file or like.path, name)

    @property
    def share(self) -> Share:
        """The part of the graph that the path takes."""
        return self._process.share

    def _invoke(self, feed: NDArray[Any]) -> list[NDArray[Any]]:
        return self._process.invoke(feed)

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def metadata(self) -> dict[str, str]:
        return self._like.metadata()

    def ending(self) -> str:
        return self._like.ending()

    def conv_layers(self) -> tuple[ConvLayer, ...]:
        return self._like.conv_layers()
