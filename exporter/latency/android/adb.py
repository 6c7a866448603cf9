"""Speak to one Android device through `adb`, the program of Android's platform tools."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.errors import OptionError, StageError
from mbexport.escaping.terminal import posix_command

ANY: Final = "any"  # as a serial: the only device that is connected
_READY: Final = "device"
_SHORT_S: Final = 60.0
_PUSH_S: Final = 600.0
# `adb shell` gives the exit code of the command on Android 7 and newer only: this line gives it on all, and it is
# missing where the connection broke.
_END: Final = re.compile(r"^mbexport-exit=(\d+)\s*$", re.MULTILINE)
_DEVICE_LINE: Final = re.compile(r"(\S+)\s+(no permissions|[a-z]+)\b.*")
_ADVICE: Final = {
    "unauthorized": "unlock it and allow USB debugging",
    "authorizing": "unlock it and allow USB debugging",
    "offline": "reconnect it, or run `adb reconnect`",
    "no permissions": "let your user reach the USB device (udev rules), then run `adb kill-server`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command on the device printed, both of its streams, and its exit code."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adb:
    """The connection to the device of one serial number."""

    program: str
    serial: str

    def shell(self, words: Sequence[str], *, within_s: float = _SHORT_S) -> Answer:
        """Run a command of the device's shell, each of `words` as it is.

        Raises `StageError` if the connection breaks, or for a command that takes longer than `within_s`.
        """
        command = f"{posix_command(words)} 2>&1; code=$?; echo; echo mbexport-exit=$code"
        done = self._run(["shell", command], within_s)
        text = done.stdout.replace("\r\n", "\n")
        ends = list(_END.finditer(text))
        if not ends:
            raise StageError(f"the connection to the Android device ended: {_last_line(done)}")
        return Answer(text=text[: ends[-1].start()].rstrip("\n"), exit_code=int(ends[-1][1]))

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device. Raises `StageError` if it does not take it."""
        done = self._run(["push", str(source.absolute()), target], _PUSH_S)
        if done.returncode:
            raise StageError(f"the Android device did not take {source}: {_last_line(done)}")

    def _run(self, words: Sequence[str], within_s: float) -> "subprocess.CompletedProcess[str]":
        return _adb([self.program, "-s", self.serial, *words], within_s)


def connect(serial: str, *, program: str = "adb") -> Adb:
    """The connection to the device with that serial number, or to the only one for `ANY`.

    Raises `OptionError` where there is no adb, no such device, or more than one to choose from, and for a device that
    does not let this machine in.
    """
    path = shutil.which(program)
    if path is None:
        raise OptionError("--adb needs Android's adb on the PATH; install the platform tools of the Android SDK")
    states = _states(_adb([path, "devices"], _SHORT_S))
    if not states:
        raise OptionError("--adb found no Android device; connect one with USB debugging, `adb devices` lists it")
    if serial == ANY and len(states) > 1:
        raise OptionError(f"--adb must name one of several Android devices: {', '.join(states)}")
    chosen = next(iter(states)) if serial == ANY else serial
    if chosen not in states:
        raise OptionError(f"--adb must be the serial number of a device, {' or '.join(states)}, got {serial}")
    if states[chosen] != _READY:
        advice = _ADVICE.get(states[chosen], "start Android on it")
        raise OptionError(f"the Android device {chosen} is not ready ({states[chosen]}); {advice}")
    return Adb(program=path, serial=chosen)


def _states(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """The state of each device by its serial number, from what `adb devices` lists below its heading."""
    if done.returncode:
        raise OptionError(f"--adb cannot be used, `adb devices` failed: {_last_line(done)}")
    _, _, listed = done.stdout.partition("List of devices attached")
    lines = (_DEVICE_LINE.fullmatch(line.strip()) for line in listed.splitlines())
    return {line[1]: line[2] for line in lines if line}


def _adb(command: Sequence[str], within_s: float) -> "subprocess.CompletedProcess[str]":
    try:
        # A session of its own: Ctrl-C on the terminal ends this process, which then still cleans up the device.
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=within_s,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise StageError(f"adb did not answer within {within_s:g} s") from None
    except OSError as error:
        raise OptionError(f"--adb cannot be used, {command[0]} does not run: {error.strerror}") from None


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return lines[-1] if lines else f"adb ended with {done.returncode} and said nothing"
