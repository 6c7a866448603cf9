"""Run the command line: in this process, which is fast, or in one of its own, as users start it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import IO

from mbexport.cli import run

_STREAMS = {"stdout": 1, "stderr": 2}


def run_in_process(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `mbexport ARGUMENTS` here; stdout, stderr and exit code are what a user sees.

    TensorFlow is loaded once for all such runs. What is true of a new process only (imports at the start, signals,
    noise of libraries when they load) needs `run_in_its_own_process`.
    """
    words = [str(argument) for argument in arguments]
    with ExitStack() as stack:
        stack.enter_context(_environment(env or {}))
        if cwd is not None:
            stack.enter_context(chdir(cwd))
        logs = {name: stack.enter_context(_redirected(name, number)) for name, number in _STREAMS.items()}
        code = run(words)
        shown = {name: _content(log, name) for name, log in logs.items()}
    return subprocess.CompletedProcess(words, code, **shown)


def run_in_its_own_process(
    *arguments: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `mbexport ARGUMENTS` in a new process."""
    return subprocess.run(
        [sys.executable, "-m", "mbexport", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changed)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _redirected(name: str, number: int) -> Iterator[IO[bytes]]:
    """Lead descriptor `number`, and the stream of sys called `name`, to a temporary file."""
    stream = getattr(sys, name)
    stream.flush()
    saved = os.dup(number)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), number)
        ours = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # restored below
        setattr(sys, name, ours)
        try:
            yield log
        finally:
            ours.flush()
            setattr(sys, name, stream)
            os.dup2(saved, number)
            os.close(saved)


def _content(log: IO[bytes], name: str) -> str:
    getattr(sys, name).flush()
    log.seek(0)
    return log.read().decode()
