"""What is known of each point while a sweep runs, and who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """What a point is doing."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"  # lost, and about to go on from its checkpoint
    DONE = "done"
    GATE_FAILED = "gate failed"
    REUSED = "reused"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the point."""
        return self in (Phase.DONE, Phase.GATE_FAILED, Phase.REUSED, Phase.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointState:
    """One point: what it is doing, in which attempt, and for how long.

    While it runs, `stage` is the stage that it is at, of which `done` of `total` steps are over (0 if unknown), and
    `text` what it says beside that. `reason` says why it failed or is tried again.
    """

    name: str
    phase: Phase = Phase.WAITING
    stage: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    seconds: float = 0.0
    attempt: int = 1
    node: str = ""
    reason: str = ""


class Display(Protocol):
    """Something that shows the states of all points, of which there are as many in every call, in one order."""

    def show(self, states: Sequence[PointState]) -> None:
        """Show the states as they are now. Raises KeyboardInterrupt if there was an interrupt."""

    def close(self) -> None:
        """Take the display away; what was shown for good stays."""
