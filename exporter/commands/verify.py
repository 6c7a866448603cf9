"""Turns anybody's artifacts and labelled images into a verdict."""

from pathlib import Path
from typing import Any

import click

from mbexport.commands import options
from mbexport.commands.console import require_writable, show
from mbexport.errors import MAX_SEED, MAX_THREADS, require_within

_EXAMPLES = """\b
Examples:
  mbexport verify dist/mobilenet_v1_0.75_64/*.tflite dist/mobilenet_v1_0.75_64/*.onnx --data digits
  mbexport verify a_int8.tflite --reference a.keras --preprocess mobilenet --data photos/ --gate agreement=0.98
  mbexport verify google_quant.tflite ours_int8.tflite --reference ours_fp32.tflite --data imagenet/ --background
"""


@click.command("verify", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.option(
    "--reference",
    type=options.PATH,
    metavar="FILE",
    help="What to compare with; the first fp32 file if absent.",
)
@options.option("--data", required=True, metavar="digits|DIR", help="Labelled images; `val/` where there is one.")
@options.classes_file
@options.option("--crop-fraction", type=float, metavar="F", help="Central crop; 0.875 for photos, 1 for digits.")
@options.preprocess
@options.mean
@options.scale
@options.option(
    "--background", is_flag=True, help="Leave out the first score of files that have one more than there are classes."
)
@options.max_bad
@options.gates
@options.strict
@options.summary
@options.option("--latency/--no-latency", default=True, help="Time the files, and load each in a process of its own.")
@options.seed
@options.threads
@options.config
@options.option(
    "--out",
    type=options.PATH,
    metavar="DIR",
    help="Where to write report.json, report.html and junit.xml; nowhere if absent.",
)
@options.as_json
def command(*, data: str, classes_file: Path | None, gates: tuple[str, ...], as_json: bool, **given: Any) -> int:
    """Compare Keras, .tflite and .onnx files on labelled images, whoever made them.

    Every file sees the same pixels, as the numbers that it says it expects; --preprocess, --mean and --scale speak
    for files that do not say. Exits with 1 if a gate fails.
    """
    from mbexport.models.data.readable import parse_max_bad
    from mbexport.verify.judge import check_limits

    limits, summary, out = options.gate_limits(gates), given.pop("summary"), given.pop("out")
    normalization = options.normalization(given.pop("preprocess"), given.pop("mean"), given.pop("scale"))
    max_bad = parse_max_bad(given.pop("max_bad"))
    check_limits(limits)
    require_within("seed", given["seed"], 0, MAX_SEED)
    require_within("threads", given["threads"], 1, MAX_THREADS)
    require_writable(summary)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.models.data.open import open_data
    from mbexport.pipeline.verify_files import Inquiry, verify_files
    from mbexport.quiet import quiet_libraries

    inquiry = Inquiry(normalization=normalization, max_bad=max_bad, limits=limits, **given)
    source = open_data(data, classes_file=classes_file)
    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            report = verify_files(inquiry, source, out=out, progress=progress)
        finally:
            progress.close()
        return show(report, streams, out=out, summary=summary, as_json=as_json)
