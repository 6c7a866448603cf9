"""`mbexport bench`: time artifacts side by side."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.options import Group
from mbexport.errors import MAX_BATCH, MAX_RUNS, MAX_THREADS, OptionError, require_within
from mbexport.escaping.terminal import visible
from mbexport.formats.trial import warm_up
from mbexport.latency.android.adb import ANY

if TYPE_CHECKING:
    from mbexport.pipeline.bench_device import Phone

_MIN_RUNS = 2  # one in each of two sittings: a ratio's interval needs both
_WARMUP = 2

_EXAMPLES = """\b
Examples:
  mbexport bench model_fp32.onnx model_int8.onnx --threads 2
  mbexport bench model_int8.tflite --adb --benchmark-model benchmark_model
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
    "--adb",
    "serial",
    group=Group.LATENCY,
    is_flag=False,
    flag_value=ANY,
    metavar="[SERIAL]",
    help="Time the .tflite files on an Android device, too: that of this serial number, or the only one.",
)
@options.option(
    "--benchmark-model",
    "tool",
    group=Group.LATENCY,
    type=options.PATH,
    metavar="FILE",
    is_input=True,
    help="LiteRT's or TensorFlow Lite's benchmark_model for the device of --adb.",
)
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
    *,
    files: tuple[Path, ...],
    runs: int | None,
    warmup: int,
    probe: bool,
    as_json: bool,
    serial: str | None,
    tool: Path | None,
    **given: Any,
) -> None:
    """Time artifacts side by side.

    They are loaded anew and run in random, interleaved order twenty times over, so that a busy machine slows all of
    them alike. Ratios are those of the medians to the first file, with 95 % bootstrap intervals.
    """
    _require_counts(runs=runs, warmup=warmup, threads=given["threads"], batch=given["batch"])
    options.require_place(force=given["force"], place=given["out"])
    phone = _phone(serial, tool)
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
            result = bench_files(files, effort=effort, is_probed=probe, phone=phone, progress=progress, **given)
        finally:
            progress.close()
        print_latencies(result, streams.out, as_json=as_json)
        for noise in (result["machine"]["noise"], (result["android"] or {"noise": None})["noise"]):
            _warn(noise, streams.err)


def _require_counts(*, runs: int | None, warmup: int, threads: int | None, batch: int) -> None:
    """Raises `OptionError` for a number that is not legal; some may be absent."""
    if threads is not None:
        require_within("--threads", threads, 1, MAX_THREADS)
    if runs is not None:
        require_within("--runs", runs, _MIN_RUNS, MAX_RUNS)
    require_within("--warmup", warmup, 0, MAX_RUNS)
    require_within("--batch", batch, 1, MAX_BATCH)


def _phone(serial: str | None, tool: Path | None) -> "Phone | None":
    """The device of --adb, None without it. Raises `OptionError` where one of the two options lacks the other."""
    if serial is None and tool is None:
        return None
    if serial is None:
        raise OptionError(f"--benchmark-model goes with --adb; give --adb, or drop --benchmark-model {tool}")
    if _is_file(serial):
        raise OptionError(f"--adb must be a serial number, got the file {serial}; put --adb behind the files")
    if tool is None:
        raise OptionError("--adb needs --benchmark-model FILE, LiteRT's program for the device")
    from mbexport.pipeline.bench_device import find_phone

    return find_phone(os.environ.get("ANDROID_SERIAL") or ANY if serial == ANY else serial, tool)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a serial number may be no path at all: too long, for example
        return False


def _warn(noise: str | None, stream: TextIO) -> None:
    if noise is not None:
        stream.write(visible(f"WARNING: {noise}") + "\n")
