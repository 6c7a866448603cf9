"""Where jobs run, as the options say: processes of this machine, or a Ray cluster."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from mbexport.commands import options
from mbexport.commands.options import Group
from mbexport.errors import MAX_THREADS, OptionError, require_within
from mbexport.escaping.terminal import visible
from mbexport.fingerprint import usable_cores
from mbexport.models.data.prefixes import split_prefix

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


def require_one_place(given: Mapping[str, Any]) -> None:
    """Raise `OptionError` for --jobs beside --address, and for a number of jobs that is none."""
    if given["jobs"] is None:
        return
    if given["address"] is not None:
        raise OptionError(f"--jobs is of this machine, --address of a cluster: drop one, got --jobs {given['jobs']}")
    require_within("--jobs", given["jobs"], 1, MAX_THREADS)


def places(given: Mapping[str, Any], *, cores: int) -> int:
    """How many jobs of so many cores run at once on this machine."""
    return int(given["jobs"] or max(1, usable_cores() // cores))


@contextmanager
def open_engine(given: Mapping[str, Any], *, out: Path, cores: int, stderr: TextIO) -> "Iterator[Engine]":
    """The engine for jobs of so many cores that write below `out`; its warnings are written when it is left.

    Raises `OptionError` for a cluster that cannot be used, or whose nodes would make other files.
    """
    if given["address"] is None:
        from mbexport.sweep.local import Processes

        yield Processes(places(given, cores=cores))
        return
    from mbexport.progress import raise_if_interrupted
    from mbexport.sweep.handshake import Shared
    from mbexport.sweep.ray_cluster import RayCluster

    classes = given["classes_file"]
    shared = Shared(
        out=out.absolute(),
        data=_absolute(given["data"]),
        classes_file=classes and classes.absolute(),
        follow_links=given["follow_links"],
    )
    with RayCluster.open(given["address"], shared, cores=cores, tick=raise_if_interrupted) as cluster:
        try:
            yield cluster
        finally:
            for each in cluster.warnings:
                stderr.write(visible(f"WARNING: {each}") + "\n")


def _absolute(data: str) -> str:
    """The name of data, in which a path holds on a machine that starts elsewhere, too."""
    prefix, rest = split_prefix(data)
    is_path = bool(prefix) or Path(rest).is_dir()
    return f"{prefix}{Path(rest).absolute()}" if is_path else data
