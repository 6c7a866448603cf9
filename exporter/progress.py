"""What a long run says while it works: the interface that the command line implements."""

from typing import Protocol


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
