"""Turns an interrupt (Ctrl-C) into one that cannot get lost.

Python raises KeyboardInterrupt wherever it happens to be, and where that is a destructor, a callback from C or a
library's own `except:`, it is swallowed and the run goes on. What was asked for is remembered and raised again.
"""

import signal
import threading
from types import FrameType
from typing import Final

_requested: Final = threading.Event()


def remember_interrupts() -> None:
    """From now on an interrupt is remembered, beside being raised."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        _requested.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)


def was_interrupted() -> bool:
    """Whether an interrupt was asked for and has not ended the run yet."""
    return _requested.is_set()


def raise_if_interrupted() -> None:
    """Raises KeyboardInterrupt if one was asked for since, even if it was swallowed then."""
    if _requested.is_set():
        _requested.clear()
        raise KeyboardInterrupt
