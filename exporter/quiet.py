"""Keep the messages of native libraries out of standard output and standard error.

TensorFlow, LiteRT and XNNPACK write to the file descriptors 1 and 2 from C++, below sys.stdout and sys.stderr.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final, TextIO

from mbexport.escaping.terminal import visible_lines

_STREAMS: Final = (1, 2)
_TAIL_BYTES: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The real standard output and error, while the descriptors 1 and 2 lead to a log."""

    out: TextIO
    err: TextIO


@contextmanager
def quiet_libraries() -> Iterator[Streams]:
    """Lead descriptors 1 and 2 to a log while the block runs, and yield the real streams.

    If the block raises an unexpected exception, the end of the log is written to the real standard error first, since
    it may hold the reason. MBEXPORT_DEBUG=1 leaves the streams as they are.
    """
    if os.environ.get("MBEXPORT_DEBUG") == "1":
        yield Streams(out=sys.stdout, err=sys.stderr)
        return
    # Read by TensorFlow when it is first imported: errors only.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _flush()
    saved = [os.dup(stream) for stream in _STREAMS]
    with tempfile.TemporaryFile() as log:
        for stream in _STREAMS:
            os.dup2(log.fileno(), stream)
        out = os.fdopen(os.dup(saved[0]), "w", encoding="utf-8", errors="replace")
        err = os.fdopen(os.dup(saved[1]), "w", encoding="utf-8", errors="replace")
        try:
            yield Streams(out=out, err=err)
        except Exception as error:
            # A bug: not an error of mbexport or click, a closed pipe or a full disk.
            if not hasattr(error, "exit_code") and not isinstance(error, OSError):
                err.write(_tail(log))
            raise
        finally:
            _flush()
            for stream, original in zip(_STREAMS, saved, strict=True):
                os.dup2(original, stream)
                os.close(original)
            _close(out)
            _close(err)


@contextmanager
def errors_read() -> Iterator[list[str]]:
    """Lead descriptor 2 to a log while the block runs, and give its lines when it is done.

    For a process that does nothing else meanwhile: what a library says there alone.
    """
    lines: list[str] = []
    _flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield lines
        finally:
            _flush()
            os.dup2(saved, 2)
            os.close(saved)
            log.seek(0)
            lines += log.read().decode("utf-8", "replace").splitlines()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None if the parent process closed it
            stream.flush()


def _close(stream: TextIO) -> None:
    with suppress(BrokenPipeError):  # the reader has gone; what is left to write is lost anyway
        stream.close()


def _tail(log: IO[bytes]) -> str:
    _flush()
    end = log.seek(0, os.SEEK_END)
    log.seek(max(0, end - _TAIL_BYTES))
    return visible_lines(log.read().decode("utf-8", "replace").split("\n"))
