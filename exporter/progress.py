"""What a long run says while it works: the interface that the command line implements."""

import signal
import threading
from types import FrameType
from typing import Final, Protocol

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


class Progress(Protocol):
    """Told when a stage starts, goes on and ends, in that order."""

    def start(self, stage: str) -> None:
        """Work on `stage` begins."""

    def step(self, done: int, total: int, text: str) -> None:
        """The current stage has done `done` of `total` steps."""

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        """`stage` is done; if `reused`, an earlier run did it, in `seconds` then."""


class Silent:
    """Says nothing."""

    def start(self, stage: str) -> None:
        """Nothing."""

    def step(self, done: int, total: int, text: str) -> None:
        """Nothing."""

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        """Nothing."""
