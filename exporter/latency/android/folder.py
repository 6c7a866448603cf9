"""A folder of a run's own on an Android device, with the files that it needs: checked there, and removed at the end."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import MbexportError, StageError
from mbexport.files import sha256_of
from mbexport.latency.android.adb import Adb, Answer

_ABOVE: Final = "/data/local/tmp"  # where Android's shell may write and execute
_TOOL: Final = "benchmark_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFolder:
    """The folder: where `benchmark_model` lies, each artifact's path by its name, and the sha256 of all as pushed."""

    adb: Adb
    tool: str
    tool_sha256: str
    paths: Mapping[str, str]
    hashes: Mapping[str, str]

    def benchmark(self, name: str, flags: tuple[str, ...], *, within_s: float) -> Answer:
        """Run `benchmark_model` on the artifact of that name. Raises `StageError` if the connection breaks."""
        return self.adb.shell([self.tool, f"--graph={self.paths[name]}", *flags], within_s=within_s)


@contextmanager
def pushed(adb: Adb, tool: Path, files: Mapping[str, Path]) -> Iterator[DeviceFolder]:
    """Push the tool and the artifacts, by name, into a new folder; it is removed however the block ends.

    Names on the device are our own: none of the user's gets into a command there. Raises `StageError` where the device
    does not take a file, or has another content than was read here.
    """
    token = secrets.token_hex(8)
    folder = f"{_ABOVE}/mbexport-{token}"
    paths = {name: f"{folder}/{place}.tflite" for place, name in enumerate(files)}
    try:
        _require(adb.shell(["mkdir", folder]), f"{folder} cannot be made")
        hashes = {name: _push(adb, files[name], path) for name, path in paths.items()}
        tool_path = f"{folder}/{_TOOL}"
        tool_sha256 = _push(adb, tool, tool_path)
        _require(adb.shell(["chmod", "700", tool_path]), f"{tool_path} cannot be made executable")
        yield DeviceFolder(adb=adb, tool=tool_path, tool_sha256=tool_sha256, paths=paths, hashes=hashes)
    finally:
        # A run that was interrupted here goes on there. The brackets keep the pattern from finding its own shell.
        for words in (["pkill", "-9", "-f", f"[m]bexport-{token}/{_TOOL}"], ["rm", "-rf", folder]):
            with suppress(MbexportError):  # of a device that is gone: the error on its way says so
                adb.shell(words)


def _push(adb: Adb, source: Path, target: str) -> str:
    expected = sha256_of(source)
    adb.push(source, target)
    answer = adb.shell(["sha256sum", target])
    if answer.exit_code or answer.text.split()[:1] != [expected]:
        raise StageError(f"{source} is another file on the Android device: sha256sum says {answer.text[:80]}")
    return expected


def _require(answer: Answer, failure: str) -> None:
    if answer.exit_code:
        raise StageError(f"on the Android device, {failure}: {answer.text[:200]}")
