"""Run Python to its end in a process beside this one, which may crash or hang in its place."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from mbexport.errors import DataError
from mbexport.formats.trial import death

_MAX_S: Final = 600  # however busy the machine is; the process counts its own processor time


def printed_by(words: Sequence[str], *, name: str) -> bytes:
    """What Python prints, run with these words of its command line.

    Raises `DataError`, in a line that begins with `name`, where it fails, crashes or does not end.
    """
    try:
        done = subprocess.run(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_MAX_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{name} did not end within {_MAX_S} s") from None
    if done.returncode:
        raise DataError(f"{name} {death(done.returncode)}, in a process of its own")
    return done.stdout
