"""Turns artifact files into latencies side by side."""

from pathlib import Path

import click

from mbexport.commands import options
from mbexport.limits import MAX_RUNS, MAX_THREADS, require_within

_EXAMPLES = """\b
Example:
  mbexport bench model_fp32.onnx model_int8.onnx --threads 2
"""


@click.command("bench", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.threads
@options.option("--runs", type=int, default=200, metavar="N", help="Timed rounds.")
@options.option("--warmup", type=int, default=20, metavar="N", help="Rounds before them.")
@options.as_json
@options.config
def command(files: tuple[Path, ...], threads: int, runs: int, warmup: int, as_json: bool) -> None:
    """Time artifacts, interleaved in random order, one image at a time.

    The ratios are of medians, to the first file, with 95 % bootstrap intervals.
    """
    require_within("threads", threads, 1, MAX_THREADS)
    require_within("runs", runs, 1, MAX_RUNS)
    require_within("warmup", warmup, 0, MAX_RUNS)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.quiet import quiet_libraries
    from mbexport.reporting.tables import print_latencies
    from mbexport.standalone import bench_files

    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            result = bench_files(files, threads=threads, runs=runs, warmup=warmup, progress=progress)
        finally:
            progress.close()
        print_latencies(result, streams.out, as_json=as_json)
