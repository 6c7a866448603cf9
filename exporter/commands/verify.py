"""`mbexport verify`: compare artifacts, whoever made them, on labelled images."""

from pathlib import Path
from typing import Any

import click

from mbexport.commands import options
from mbexport.commands.config import config
from mbexport.commands.console import require_writable, show
from mbexport.commands.options import Group
from mbexport.errors import MAX_SEED, MAX_THREADS, require_within
from mbexport.formats.registry import format_of

_EXAMPLES = """\b
Examples:
  mbexport verify dist/mobilenet_v1_0.75_64/*.tflite --data digits
  mbexport verify a_int8.tflite --reference a.keras --data photos/ \\
      --preprocess mobilenet --gate agreement=0.98
  mbexport verify google_quant.tflite --reference ours_fp32.tflite \\
      --data imagenet/ --background
"""


@options.command("verify", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.option(
    "--data",
    group=Group.COMMON,
    required=True,
    metavar="digits|DIR|tfds:NAME",
    help="Labelled images: the digits of scikit-learn, a folder with a sub-folder for each class (its `val/`, where "
    "there is one), or a data set of TensorFlow Datasets.",
)
@options.option(
    "--reference",
    group=Group.COMMON,
    type=options.PATH,
    metavar="FILE",
    help="The file that all others are compared with; the first fp32 one of FILES if absent.",
)
@options.gates
@options.option(
    "--out",
    group=Group.COMMON,
    type=options.PATH,
    metavar="DIR",
    help="Write report.json, report.html and junit.xml to this folder; they are not written if absent.",
)
@options.as_json
@options.classes_file
@options.crop_fraction
@options.preprocess
@options.mean
@options.scale
@options.option(
    "--background",
    group=Group.DATA,
    is_flag=True,
    help="Ignore the first score of files that give one more than there are classes.",
)
@options.max_bad
@options.follow_links
@options.strict
@options.summary
@options.option(
    "--latency/--no-latency",
    group=Group.LATENCY,
    default=True,
    help="Time the files; measure their cold start and memory in processes of their own.",
)
@options.threads
@options.seed
@config
def command(
    *,
    data: str,
    classes_file: Path | None,
    follow_links: bool,
    gates: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> int:
    """Compare .tflite, .onnx and Keras files on labelled images, whoever made them.

    Every file gets the same pixels, scaled as the file itself says that it expects them; for files that do not say,
    give --preprocess, or --mean and --scale.

    Exit codes: 0 every gate passed, 1 a gate failed, 2 bad input.
    """
    from mbexport.models.data.readable import parse_max_bad
    from mbexport.verify.gates import check_limits

    limits, summary, out = options.gate_limits(gates), given.pop("summary"), given.pop("out")
    normalization = options.normalization(given.pop("preprocess"), given.pop("mean"), given.pop("scale"))
    max_bad = parse_max_bad(given.pop("max_bad"))
    check_limits(limits)
    require_within("seed", given["seed"], 0, MAX_SEED)
    require_within("threads", given["threads"], 1, MAX_THREADS)
    require_writable(summary)
    options.require_files(reference=given["reference"], classes=classes_file)
    for file in given["files"]:
        format_of(file)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.models.data.open import open_data
    from mbexport.pipeline.verify_files import Inquiry, verify_files
    from mbexport.quiet import quiet_libraries

    inquiry = Inquiry(normalization=normalization, max_bad=max_bad, limits=limits, **given)
    source = open_data(data, classes_file=classes_file, follow_links=follow_links)
    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            report = verify_files(inquiry, source, out=out, progress=progress)
        finally:
            progress.close()
        return show(report, streams, out=out, summary=summary, as_json=as_json)
