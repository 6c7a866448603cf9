"""`mbexport sweep`: build a family of networks, and choose among them by what was measured."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from mbexport.commands import engines, options, sweep_options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, MAX_THREADS, require_within
from mbexport.escaping.terminal import json_text, visible, visible_lines

_EXAMPLES = """\b
Examples:
  mbexport sweep --alpha 0.25,0.5,1 --resolution 128,224 --int8 --out sweep/ \\
      --data photos/ --weights imagenet
  mbexport sweep --out sweep/ --pick 'top1>=0.8'
"""


@options.command("sweep", epilog=_EXAMPLES)
@sweep_options.family_options
@options.option(
    "--out", group=Group.COMMON, type=options.PATH, metavar="DIR", help="Folder of the sweep; dist/sweep if absent."
)
@options.option(
    "--pick",
    group=Group.VERDICT,
    metavar="QUERY",
    help="Print the folder of the point of a finished sweep that answers this, for example 'top1>=0.8' or "
    "'latency<=5ms, format=tflite'.",
)
@engines.jobs
@engines.address
@options.option(
    "--dry-run",
    group=Group.COMMON,
    is_flag=True,
    help="Check options and inputs, show the points and about how long they take, and write nothing.",
)
@options.option("--json", "as_json", group=Group.VERDICT, is_flag=True, help="Print the result as JSON.")
@options.option(
    "--cores",
    group=Group.RUN,
    type=int,
    metavar="N",
    help="Cores of each point; if absent as TF_NUM_INTRAOP_THREADS says, or 2. Bytes depend on it, not on --jobs.",
)
@options.option(
    "--log-dir",
    group=Group.TRAINING,
    type=options.PATH,
    metavar="DIR",
    help="Write training curves for TensorBoard to this folder, a folder a point.",
)
@options.option(
    "--cache",
    group=Group.RUN,
    type=options.PATH,
    metavar="DIR|none",
    help="Folder in which points share stages and decoded images; one in the sweep's folder if absent.",
)
@options.latency
@options.threads
@config
@click.pass_context
def command(context: click.Context, /, **given: Any) -> int:
    """Build every alpha with every resolution, time all files side by side, and draw the front.

    Each point is what `mbexport build --no-latency` makes, in points/<alpha>_<px>/, in a process of its own. Finished
    points are not made again. Writes sweep.json, sweep.csv and sweep.html.
    """
    out = given["out"] or Path("dist/sweep")
    if given["pick"] is not None:
        return _pick(out, given["pick"], as_json=given["as_json"])
    _require_numbers(given)
    from mbexport.commands.sweep_console import run_and_show, show_points
    from mbexport.commands.sweep_plan import checked_tasks, sweep_of
    from mbexport.quiet import quiet_libraries

    tasks = checked_tasks(context)
    with quiet_libraries() as streams:
        sweep = sweep_of(context, tasks, out, None if given["dry_run"] else streams.err)
        if given["dry_run"]:
            jobs = engines.places(given, cores=sweep.cores)
            return show_points(sweep, jobs=jobs, streams=streams, as_json=given["as_json"])
        engine = partial(engines.open_engine, given, out=out, cores=sweep.cores, stderr=streams.err)
        return run_and_show(sweep, engine, streams, as_json=given["as_json"])


def _pick(out: Path, query: str, *, as_json: bool) -> int:
    """Print the folder of the point that answers a query, and on stderr what is known of it."""
    from mbexport.sweep.pick import pick
    from mbexport.sweep.query import parse_query
    from mbexport.sweep.results import SWEEP, read_sweep

    answer = pick(read_sweep(out / SWEEP), parse_query(query))
    if as_json:
        click.echo(json_text(answer.json()))
    elif answer.picked is not None:
        click.echo(visible(str(out / answer.picked.point["folder"])))
    click.echo(visible_lines(answer.lines()), err=True)
    return EXIT_GATE_FAILED if answer.picked is None else EXIT_DONE


def _require_numbers(given: dict[str, Any]) -> None:
    engines.require_one_place(given)
    for name in ("cores", "threads"):
        if given[name] is not None:
            require_within(f"--{name}", given[name], 1, MAX_THREADS)
