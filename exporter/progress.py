"""Progress of a long run, which the command line shows, and interrupts that must not be swallowed on the way."""

import signal
import threading
from types import FrameType
from typing import Final, Protocol

_requested: Final = threading.Event()


def remember_interrupts() -> None:
    """Remember each interrupt from now on, and raise KeyboardInterrupt as before.

    Libraries swallow the exception; see `raise_if_interrupted`.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        _requested.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)


def was_interrupted() -> bool:
    """Whether there was an interrupt that has not ended the run yet."""
    return _requested.is_set()


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if there was an interrupt, even if a library swallowed it."""
    if _requested.is_set():
        _requested.clear()
        raise KeyboardInterrupt


class Progress(Protocol):
    """A display of stages: for each, `start` is called, then `step` any number of times, then `finish`."""

    def start(self, stage: str) -> None:
        """Show that `stage` begins."""

    def step(self, done: int, total: int, text: str) -> None:
        """Show that the current stage has done `done` of `total` steps, and `text` beside that."""

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        """Show that `stage` is done; if `reused`, an earlier run did it, and took `seconds`."""


class Silent:
    """A display that shows nothing."""

    def start(self, stage: str) -> None:
        """Show nothing."""

    def step(self, done: int, total: int, text: str) -> None:
        """Show nothing."""

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        """Show nothing."""
