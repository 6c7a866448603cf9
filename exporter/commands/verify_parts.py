"""Have the parts of `mbexport verify --shards` done by processes of their own."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from mbexport.commands.engines import open_engine, require_one_place
from mbexport.commands.options import Option
from mbexport.commands.recipe import given_words
from mbexport.commands.temporary import temporary_folder
from mbexport.errors import EXIT_BAD_INPUT, EXIT_DONE, DataError, OptionError, StageError, require_within
from mbexport.fingerprint import THREADS_VARIABLE, tensorflow_threads

if TYPE_CHECKING:
    from mbexport.pipeline.verify_parts import Part, Parts
    from mbexport.sweep.job import Engine
    from mbexport.verification.classification.collect import OnStep

MAX_SHARDS: Final = 100_000
_PART: Final = re.compile(r"(look|answer):([0-9]+)/([0-9]+)", re.ASCII)
# What the driver does with the answers is no matter of a part, nor is where parts run.
_OF_DRIVER: Final = frozenset(
    {
        *("shards", "jobs", "address", "out", "json", "summary", "gate", "strict", "latency", "threads", "force"),
        *("path", "path-images", "config"),
    }
)


def require_shards(given: dict[str, Any]) -> None:
    """Raise `OptionError` for a number of shards that is none, and for where they run without any."""
    require_one_place(given)
    if given["shards"] is not None:
        require_within("--shards", given["shards"], 1, MAX_SHARDS)
        if given["address"] is not None and given["out"] is None:
            raise OptionError("--address needs --out DIR, a folder that every node sees, got none")
    elif given["jobs"] is not None or given["address"] is not None:
        raise OptionError("--jobs and --address go with --shards N, got none")


def parse_part(text: str) -> "Part":
    """The part that a job was given. Raises `OptionError` for what is none."""
    from mbexport.pipeline.verify_parts import Part

    found = _PART.fullmatch(text)
    if found is None or int(found[2]) >= int(found[3]):
        raise OptionError(f"--part must be look:I/N or answer:I/N, got {text}")
    return Part(kind=found[1], number=int(found[2]), count=int(found[3]))


@contextmanager
def opened(context: click.Context, stderr: TextIO) -> "Iterator[Parts | None]":
    """The parts that --shards asks for, in a folder that goes when they are done; None without it."""
    from mbexport.pipeline.verify_parts import Parts

    given = context.params
    if given["shards"] is None:
        yield None
        return
    if given["out"] is not None:
        given["out"].mkdir(parents=True, exist_ok=True)
    with (
        temporary_folder(given["out"]) as folder,
        open_engine(given, out=folder, cores=1, stderr=stderr) as engine,
    ):
        yield Parts(folder=folder, count=given["shards"], run=partial(_run, engine, _words(context), folder))


def _run(engine: "Engine", words: Sequence[str], folder: Path, parts: "Sequence[Part]", on_step: "OnStep") -> None:
    """Run each part as a job. Raises the error of the first that fails, as one process would have raised it."""
    from mbexport.progress import raise_if_interrupted
    from mbexport.sweep.job import Job, last_line

    jobs = [
        Job(
            name=part.text,
            arguments=("verify", f"--part={part.text}", f"--parts={folder}", *words),
            folder=Path.cwd(),
            out=folder / f"{part.file}.out",
            root=folder,
            log=folder / f"{part.file}.log",
            environment={THREADS_VARIABLE: str(tensorflow_threads())},
        )
        for part in parts
    ]
    logs = {job.name: job.log for job in jobs}
    for done, ended in enumerate(engine.run(jobs, raise_if_interrupted), start=1):
        if ended.code != EXIT_DONE:
            reason = ended.reason or last_line(logs[ended.name]).removeprefix("Error: ")
            kind = DataError if ended.code == EXIT_BAD_INPUT else StageError
            raise kind(reason or f"part {ended.name} ended with exit code {ended.code}")
        on_step(done, len(jobs), f"parts {parts[0].kind}")


def _words(context: click.Context) -> list[str]:
    """The words of the command line that say what a part needs to know."""
    kept = (each for each in context.command.params if isinstance(each, Option) and each.long_name not in _OF_DRIVER)
    return [*given_words(context, kept), "--", *map(str, context.params["files"])]
