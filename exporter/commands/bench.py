"""`mbexport bench`: time artifacts side by side."""

from pathlib import Path
from typing import Any, TextIO

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import MAX_BATCH, MAX_RUNS, MAX_THREADS, require_within
from mbexport.escaping.terminal import visible
from mbexport.formats.trial import warm_up

_MIN_RUNS = 2  # one in each of two sittings: a ratio's interval needs both
_WARMUP = 2

_EXAMPLES = """\b
Example:
  mbexport bench model_fp32.onnx model_int8.onnx --threads 2
"""


@options.command("bench", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.option(
    "--threads",
    group=Group.COMMON,
    type=int,
    metavar="N",
    help="Time with one thread and with N; with as many as there are cores if absent.",
)
@options.option(
    "--runs",
    group=Group.COMMON,
    type=int,
    metavar="N",
    help="Timed runs of each file; if absent at most 400, as many as fit into about a second.",
)
@options.option(
    "--out",
    group=Group.COMMON,
    type=options.PATH,
    metavar="DIR",
    help="Write bench.json to this folder; it is not written if absent.",
)
@options.as_json
@options.option(
    "--warmup",
    group=Group.LATENCY,
    type=int,
    default=_WARMUP,
    metavar="N",
    help="Runs that are not timed, each time that a file has been loaded.",
)
@options.option(
    "--batch",
    group=Group.LATENCY,
    type=int,
    default=8,
    metavar="N",
    help="Images of one inference, when the throughput is measured.",
)
@options.option(
    "--probe/--no-probe",
    group=Group.LATENCY,
    default=True,
    help="Measure cold start and memory in processes of their own.",
)
@options.force
@config
def command(
    *, files: tuple[Path, ...], runs: int | None, warmup: int, probe: bool, as_json: bool, **given: Any
) -> None:
    """Time artifacts side by side.

    They are loaded anew and run in random, interleaved order twenty times over, so that a busy machine slows all of
    them alike. Ratios are those of the medians to the first file, with 95 % bootstrap intervals.
    """
    if given["threads"] is not None:
        require_within("--threads", given["threads"], 1, MAX_THREADS)
    if runs is not None:
        require_within("--runs", runs, _MIN_RUNS, MAX_RUNS)
    require_within("--warmup", warmup, 0, MAX_RUNS)
    require_within("--batch", given["batch"], 1, MAX_BATCH)
    options.require_place(force=given["force"], place=given["out"])
    warm_up(files)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.latency.sittings import Effort, fixed_effort
    from mbexport.pipeline.bench_files import bench_files
    from mbexport.quiet import quiet_libraries
    from mbexport.report.terminal import print_latencies

    effort = Effort(warmup=warmup) if runs is None else fixed_effort(runs, warmup=warmup)
    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            result = bench_files(files, effort=effort, is_probed=probe, progress=progress, **given)
        finally:
            progress.close()
        print_latencies(result, streams.out, as_json=as_json)
        _warn(result["machine"]["noise"], streams.err)


def _warn(noise: str | None, stream: TextIO) -> None:
    if noise is not None:
        stream.write(visible(f"WARNING: {noise}") + "\n")
