"""Turns artifact files and labelled images into a verdict."""

from pathlib import Path
from typing import Any

import click

from mbexport.commands import options
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED
from mbexport.limits import MAX_SEED, MAX_THREADS, require_within

_EXAMPLES = """\b
Examples:
  mbexport verify dist/mobilenet_v1_0.75_64/*.tflite dist/mobilenet_v1_0.75_64/*.onnx --data digits
  mbexport verify a_int8.tflite --reference a_fp32.tflite --data photos/ --gate agreement=0.98
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
@options.max_bad
@options.gates
@options.seed
@options.threads
@options.config
@options.option("--out", type=options.PATH, metavar="DIR", help="Where to write report.json; nowhere if absent.")
@options.as_json
def command(*, data: str, classes_file: Path | None, gates: tuple[str, ...], as_json: bool, **given: Any) -> int:
    """Compare .tflite and .onnx files on labelled images.

    Every file sees the same bytes. Exits with 1 if a gate fails.
    """
    from mbexport.models.preprocess import MOBILENET
    from mbexport.models.readable import parse_max_bad
    from mbexport.verdict.gates import check_limits

    limits = options.gate_limits(gates)
    normalization = options.normalization(given.pop("preprocess"), given.pop("mean"), given.pop("scale"))
    max_bad = parse_max_bad(given.pop("max_bad"))
    check_limits(limits)
    require_within("seed", given["seed"], 0, MAX_SEED)
    require_within("threads", given["threads"], 1, MAX_THREADS)
    from mbexport.commands.console import ConsoleProgress
    from mbexport.models.data import open_data
    from mbexport.quiet import quiet_libraries
    from mbexport.reporting.tables import print_report, print_warnings
    from mbexport.standalone import verify_files

    source = open_data(data, classes_file=classes_file)
    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            report = verify_files(
                data=source,
                normalization=normalization or MOBILENET,
                max_bad=max_bad,
                limits=limits,
                progress=progress,
                **given,
            )
        finally:
            progress.close()
        print_report(report, streams.out, out=given["out"], as_json=as_json)
        print_warnings(report, streams.err)
    return EXIT_DONE if report["passed"] else EXIT_GATE_FAILED
