"""Progress of a long run, which the command line shows, and interrupts that must not be swallowed on the way."""

import signal
import threading
from types import FrameType
from typing import Final, Protocol

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, kill or a CI server, a closed terminal
_requested: Final = threading.Event()
_numbers: Final[list[int]] = []  # of the signals that came; the last one counts


def remember_interrupts() -> None:
    """Remember each interrupt, termination and hang-up from now on, and raise KeyboardInterrupt for each of them.

    Libraries swallow the exception; see `raise_if_interrupted`. What the caller ignores, as `nohup` does, stays
    ignored.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        _numbers[:] = [number]
        _requested.set()
        raise KeyboardInterrupt

    for each in _SIGNALS:
        if each == signal.SIGINT or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handle)


def was_interrupted() -> bool:
    """Whether there was an interrupt that has not ended the run yet."""
    return _requested.is_set()


def last_signal() -> int:
    """The number of the signal that interrupted the run; that of Ctrl-C where none was remembered."""
    return _numbers[-1] if _numbers else signal.SIGINT


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
