"""From the options of `sweep` to its points: each a checked build in a folder of its own."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

import click

from mbexport.commands import build, options, sweep_options
from mbexport.commands.build_and_export import Task
from mbexport.commands.recipe import recipe_of, with_recipe
from mbexport.errors import OptionError
from mbexport.fingerprint import THREADS_VARIABLE, tensorflow_threads, usable_cores
from mbexport.models.task import Task as NetworkTask
from mbexport.pipeline.dry_run import planned
from mbexport.pipeline.plan import Trained
from mbexport.sweep.point import Point, point_name
from mbexport.sweep.results import POINTS
from mbexport.sweep.run import Sweep
from mbexport.workdir import PRIVATE

_CACHE: Final = f"{PRIVATE}/cache"
_USUAL_CORES: Final = 2

Tasks = Sequence[tuple[click.Context, Task]]


def checked_tasks(context: click.Context) -> Tasks:
    """For each point the context of its build, and what that asks for; every option and the images are checked."""
    if context.params["task"] is not NetworkTask.CLASSIFY:
        raise OptionError(f"a sweep is for --task {NetworkTask.CLASSIFY}, got --task {context.params['task']}")
    networks = sweep_options.networks_of(context.params)
    beside = sweep_options.no_matter(context)
    contexts = [sweep_options.parsed([*sweep_options.arguments_of(context, each), *beside]) for each in networks]
    return list(zip(contexts, build.tasks([each.params for each in contexts]), strict=True))


def sweep_of(context: click.Context, tasks: Tasks, out: Path, stderr: TextIO | None) -> Sweep:
    """The sweep in the folder `out`. Weights that are missing are downloaded once, if there is a stream to say so.

    Raises `InputError` for whatever any of the builds would refuse.
    """
    given = context.params
    cores = _cores(given["cores"])
    networks = sweep_options.networks_of(given)
    with _threads(cores):
        points = [_point(context, network, task, out, stderr) for network, task in zip(networks, tasks, strict=True)]
    names = [point.name for point in points]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"each point must be another network, got {twice} twice")
    return Sweep(
        out=out,
        folder=Path.cwd(),
        points=tuple(points),
        cores=cores,
        images=_images(tasks) if given["dry_run"] else 0,
        threads=given["threads"] if given["latency"] else None,
        limits=sweep_options.speed_limits(given["gates"]),
        strict=given["strict"],
        force=given["force"],
    )


def _cores(given: int | None) -> int:
    """The cores of each build: never a matter of how many run at once, since bytes depend on it."""
    if given is not None:
        return given
    return tensorflow_threads() if THREADS_VARIABLE in os.environ else min(_USUAL_CORES, usable_cores())


def _cache(given: Path | None, out: Path) -> Path | None:
    """The folder that points share stages in: another machine of a cluster sees the sweep's, not the user's own."""
    return out.absolute() / _CACHE if given is None else options.cache_folder(given)


def _images(tasks: Tasks) -> int:
    """How many images each point learns from."""
    context, task = tasks[0]
    return 0 if task.data is None else len(task.data.split(context.params["seed"])[0])


@contextmanager
def _threads(cores: int) -> Iterator[None]:
    """Let stages be looked up as builds with so many threads of TensorFlow would."""
    before = os.environ.get(THREADS_VARIABLE)
    os.environ[THREADS_VARIABLE] = str(cores)
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS_VARIABLE]
        else:
            os.environ[THREADS_VARIABLE] = before


def _point(
    context: click.Context,
    network: Mapping[str, str],
    found: tuple[click.Context, Task],
    out: Path,
    stderr: TextIO | None,
) -> Point:
    own, task = found
    plan = task.plan_of(stderr)
    assert isinstance(plan.origin, Trained)
    spec = plan.origin.spec
    name = point_name(spec)
    folder = out / POINTS / name
    cache = _cache(context.params["cache"], out)
    log_dir = context.params["log_dir"]
    plan = replace(plan, out=folder, cache=cache, log_dir=log_dir and log_dir / name)
    local = [f"--cache={cache or 'none'}", *sweep_options.no_matter(context)]
    local += [] if log_dir is None else [f"--log-dir={log_dir / name}"]
    return Point(
        name=name,
        arguments=(*sweep_options.arguments_of(context, network), f"--out={folder}"),
        local_arguments=tuple(local),
        spec=spec,
        planned=planned(with_recipe(plan, recipe_of(own)), task.data, is_signed=task.sign is not None),
    )
