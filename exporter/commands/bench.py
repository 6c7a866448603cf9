"""Turns artifact files into latencies side by side."""

from pathlib import Path
from typing import Any, TextIO

import click

from mbexport.commands import options
from mbexport.errors import MAX_BATCH, MAX_RUNS, MAX_THREADS, require_within

_MIN_RUNS = 2  # one in each of two sittings: a ratio's interval needs both
_WARMUP = 2

_EXAMPLES = """\b
Example:
  mbexport bench model_fp32.onnx model_int8.onnx --threads 2
"""


@click.command("bench", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.option("--threads", type=int, metavar="N", help="Time with one and with N threads; N is all cores if absent.")
@options.option(
    "--runs", type=int, metavar="N", help="Timed runs of each file; at most 400, in about a second, if absent."
)
@options.option("--warmup", type=int, default=_WARMUP, metavar="N", help="Untimed runs after each loading.")
@options.option("--batch", type=int, default=8, metavar="N", help="Images at a time, for the throughput.")
@options.option("--probe/--no-probe", default=True, help="Cold start and memory, in processes of their own.")
@options.option("--out", type=options.PATH, metavar="DIR", help="Where to write bench.json; nowhere if absent.")
@options.as_json
@options.config
def command(
    *, files: tuple[Path, ...], runs: int | None, warmup: int, probe: bool, as_json: bool, **given: Any
) -> None:
    """Time artifacts: all loaded anew and interleaved in random order, twenty times over.

    The ratios are of medians, to the first file, with 95 % bootstrap intervals.
    """
    if given["threads"] is not None:
        require_within("threads", given["threads"], 1, MAX_THREADS)
    if runs is not None:
        require_within("runs", runs, _MIN_RUNS, MAX_RUNS)
    require_within("warmup", warmup, 0, MAX_RUNS)
    require_within("batch", given["batch"], 1, MAX_BATCH)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.latency.sittings import Effort, exactly
    from mbexport.pipeline.bench_files import bench_files
    from mbexport.quiet import quiet_libraries
    from mbexport.report.terminal import print_latencies

    effort = Effort(warmup=warmup) if runs is None else exactly(runs, warmup=warmup)
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
        stream.write(f"WARNING: {noise}\n")
