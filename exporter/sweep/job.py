"""What an engine runs, how a job ends, and what is worth another attempt."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from mbexport.errors import EXIT_SIGNALLED, EXIT_STAGE_FAILED
from mbexport.files import open_regular

MAX_ATTEMPTS: Final = 3
# A run takes its options from its arguments alone, and the verdict of one job is not that of the CI step around all.
_NOT_INHERITED: Final = ("MBEXPORT_BUILD_", "MBEXPORT_VERIFY_", "GITHUB_STEP_SUMMARY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of `mbexport` in a process of its own, on a machine that sees the same files.

    `arguments` are those of the command line, the command first; relative paths among them begin in `folder`. `out` is
    the output folder, `log` the file that gets what the run writes to stdout and stderr; it is reached by no link below
    the folder `root`. `cores` are those that it keeps busy. `environment` is added to that of the process which starts
    it.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    out: Path
    root: Path
    log: Path
    cores: int = 1
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def variables(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The environment of the run, where that of the starting process is `inherited`."""
        kept = {name: value for name, value in inherited.items() if not name.startswith(_NOT_INHERITED)}
        return {**kept, **self.environment}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a job ended: its last exit code, negative for the signal that killed it, and on which machine.

    `reason` says in one line what an engine knows beyond the code: a lost node, for example.
    """

    name: str
    code: int
    attempts: int = 1
    seconds: float = 0.0
    node: str = ""
    reason: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code as `mbexport` has them; 3 for a run that was lost in every attempt."""
        return EXIT_STAGE_FAILED if is_lost(self.code) else self.code


class Engine(Protocol):
    """Something that runs jobs, on this machine or on others."""

    @property
    def nodes(self) -> Mapping[str, Mapping[str, object]]:
        """The processor of each other machine that runs jobs, by its name, as a report has this machine's."""

    @property
    def warnings(self) -> Sequence[str]:
        """What may part the files of one machine from those of another; grows while jobs run."""

    def run(self, jobs: Sequence[Job], tick: Callable[[], None]) -> Iterator[Ended]:
        """Run all jobs, and yield each one when it has ended, in the order in which they do.

        A job that `is_lost` is run again, up to `MAX_ATTEMPTS` times. `tick` is called several times a second; whatever
        it raises, and whatever is raised where the iterator is used, ends every job that still runs.
        """


def is_lost(code: int) -> bool:
    """Whether a run did not end by itself: a signal killed it, or it stopped because of one. It goes on if it is run
    again, from its checkpoint. Exit codes from 0 to 3 are its own answers."""
    return code < 0 or code > EXIT_SIGNALLED


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty where there is none."""
    try:
        with open_regular(log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
