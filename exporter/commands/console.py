"""Show progress and results: lines and bars on stderr, bars on a terminal only; the report on stdout."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, OutputError
from mbexport.escaping.terminal import visible, visible_lines
from mbexport.progress import raise_if_interrupted
from mbexport.quiet import Streams

if TYPE_CHECKING:
    from rich.progress import TaskID

    from mbexport.pipeline.dry_run import PlannedRun, PlannedStage

# Where GitHub's runners look for Markdown; several steps append to one file.
_GITHUB: Final = "GITHUB_STEP_SUMMARY"


def require_writable(file: Path | None, what: str = "the summary") -> None:
    """Raises `OutputError`, before hours of work, for a file that could not be written after them."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise OutputError(f"{what} must be a file in a folder that exists, got {file}")


def show(
    report: dict[str, Any], streams: Streams, *, out: Path | None, summary: Path | None, as_json: bool = False
) -> int:
    """Print the report and its warnings, write the Markdown summaries that are wanted, and return the exit code."""
    from mbexport.report.job_summary import markdown
    from mbexport.report.terminal import print_report

    print_report(report, streams.out, out=out, as_json=as_json, warnings=streams.err)
    job = os.environ.get(_GITHUB)
    if summary is not None:
        _write(summary, markdown(report), mode="w")
    if job:
        _write(Path(job), markdown(report), mode="a")
    return EXIT_DONE if report["passed"] else EXIT_GATE_FAILED


def _write(file: Path, text: str, *, mode: str) -> None:
    try:
        with file.open(mode, encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        raise OutputError(f"the summary {file} cannot be written: {error.strerror}") from None


def show_plan(planned: "PlannedRun", stream: TextIO) -> int:
    """Print what a run would do, and return the exit code."""
    stages = [(each.name, _status(each)) for each in planned.stages]
    width = max(len(name) for name, _ in stages)
    lines = [
        f"network: {_network(planned)}",
        *(f"to be downloaded: {file}" for file in planned.downloads),
        *([f"not read as images: {planned.left_out}"] if planned.left_out else []),
        *_boxes(planned),
        *(["anchors:"] if planned.anchors else []),
        *(f"  {reason}" for reason in planned.anchors),
        "stages:",
        *(f"  {name:<{width}}  {status}" for name, status in stages),
        f"files in {planned.plan.out}/:",
        *(f"  {name}" for name in planned.files),
        "dry run: nothing was written",
    ]
    stream.write(visible_lines(lines) + "\n")
    return EXIT_DONE


def _boxes(planned: "PlannedRun") -> list[str]:
    """A line on the boxes of a detector's data that cannot be used; none where all can."""
    problems = planned.box_problems
    if not problems:
        return []
    return [f"boxes that cannot be used: {problems}, of {problems.checked:,}; the first {problems.listed[0]}"]


def _status(stage: "PlannedStage") -> str:
    return str(stage.status) if stage.seconds is None else f"{stage.status} (took {stage.seconds:.1f} s)"


def _network(planned: "PlannedRun") -> str:
    """The network in one line: its name, and what is known of it before the run."""
    network = planned.network
    facts = [
        "" if network.alpha is None else f"alpha {network.alpha:g}",
        "" if network.resolution is None else f"{network.resolution} px",
        "" if network.classes is None else f"{network.classes} classes",
        "" if network.parameters is None else f"{network.parameters:,} parameters",
        "" if network.mult_adds is None else f"{network.mult_adds / 1e6:.1f} M mult-adds",
    ]
    return ", ".join(filter(None, (planned.plan.name, *facts)))


class ConsoleProgress:
    """A line for each finished stage; on a terminal, a bar for the one that runs."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # a tenth of a second that --help does without
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
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
            self._bar.update(self._task, completed=done, total=total, text=f"{done}/{total} {visible(text)}")

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
