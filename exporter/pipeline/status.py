"""Write how far a run is to a file, for whoever started it, and read what another run wrote."""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.files import read_regular
from mbexport.progress import Progress

_EVERY_S: Final = 0.5
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStage:
    """A stage that is done: the seconds that it took when it ran, and whether this run reused it."""

    name: str
    seconds: float
    is_reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run is: the stages that are done, and `done` of `total` steps of the one that runs, if one does."""

    finished: tuple[FinishedStage, ...] = ()
    stage: str | None = None
    done: int = 0
    total: int = 0
    text: str = ""


class StatusFile:
    """A display of stages that hands everything on to `shown`, and keeps a JSON file true, twice a second at most.

    A file that cannot be written ends no run.
    """

    def __init__(self, file: Path, shown: Progress) -> None:
        self._file, self._shown = file, shown
        self._finished: list[dict[str, Any]] = []
        self._running: dict[str, Any] = {"stage": None, "done": 0, "total": 0, "text": ""}
        self._written = -_EVERY_S

    def start(self, stage: str) -> None:
        """Say that `stage` begins."""
        self._shown.start(stage)
        self._write({"stage": stage, "done": 0, "total": 0, "text": ""})

    def step(self, done: int, total: int, text: str) -> None:
        """Say how far the stage is."""
        self._shown.step(done, total, text)
        if time.monotonic() - self._written >= _EVERY_S:
            self._write({"done": done, "total": total, "text": text})

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        """Say that `stage` is done."""
        self._finished.append({"name": stage, "seconds": round(seconds, 3), "reused": reused})
        self._write({"stage": None})
        self._shown.finish(stage, seconds, reused=reused)

    def _write(self, running: dict[str, Any]) -> None:
        self._written = time.monotonic()
        self._running |= running
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with suppress(OSError):
            temporary.write_text(json.dumps({**self._running, "finished": self._finished}))
            temporary.replace(self._file)


def read_status(file: Path) -> Status:
    """What a run wrote; an empty status while it has written nothing."""
    try:
        found = json.loads(read_regular(file, limit_bytes=_MAX_BYTES))
        finished = tuple(
            FinishedStage(name=str(each["name"]), seconds=float(each["seconds"]), is_reused=bool(each["reused"]))
            for each in found["finished"]
        )
        running = {"stage": found["stage"], "done": int(found["done"]), "total": int(found["total"])}
        return Status(finished=finished, **running, text=str(found["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Status()
