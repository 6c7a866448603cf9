"""Where jobs run, as the options say: processes of this machine, or a Ray cluster."""

from typing import TYPE_CHECKING, Any, Final

from mbexport.commands import options
from mbexport.commands.options import Group
from mbexport.errors import MAX_THREADS, OptionError, require_within
from mbexport.fingerprint import usable_cores

if TYPE_CHECKING:
    from mbexport.sweep.job import Engine

jobs: Final = options.option(
    "--jobs",
    group=Group.RUN,
    type=int,
    metavar="N",
    help="Processes at once on this machine; if absent as many as there are cores for.",
)
address: Final = options.option(
    "--address",
    group=Group.RUN,
    metavar="HOST:PORT",
    help="Work on the Ray cluster of this address, whose nodes see the same files.",
)


def require_one_place(given: dict[str, Any]) -> None:
    """Raise `OptionError` for --jobs beside --address, and for a number of jobs that is none."""
    if given["jobs"] is None:
        return
    if given["address"] is not None:
        raise OptionError(f"--jobs is of this machine, --address of a cluster: drop one, got --jobs {given['jobs']}")
    require_within("--jobs", given["jobs"], 1, MAX_THREADS)


def places(given: dict[str, Any], *, cores: int) -> int:
    """How many jobs of so many cores run at once on this machine."""
    return int(given["jobs"] or max(1, usable_cores() // cores))


def open_engine(given: dict[str, Any], *, cores: int) -> "Engine":
    """The engine for jobs of so many cores."""
    from mbexport.sweep.local import Processes

    if given["address"] is None:
        return Processes(places(given, cores=cores))
    raise OptionError(f"--address needs ray, got {given['address']}")
