"""Turns progress into lines and bars on stderr: bars on a terminal only."""

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mbexport.interrupt import raise_if_interrupted


class ConsoleProgress:
    """A line for each finished stage; on a terminal, a bar for the one that runs."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def start(self, stage: str) -> None:
        raise_if_interrupted()
        if self._console.is_terminal:
            self._bar.start()
            self._task = self._bar.add_task(stage, total=None, text="starting")

    def step(self, done: int, total: int, text: str) -> None:
        raise_if_interrupted()
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, text=f"{done}/{total} {text}")

    def finish(self, stage: str, seconds: float, *, reused: bool) -> None:
        self.close()
        raise_if_interrupted()
        how = "reused" if reused else "done in"
        self._console.print(f"{stage:<14} {how} {'(took ' if reused else ''}{seconds:.1f} s{')' if reused else ''}")

    def close(self) -> None:
        """Takes the bar away, so that what is printed next stands on a clean line."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._bar.stop()
            self._task = None
