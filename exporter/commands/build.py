"""Turns the options of `mbexport build` into a plan, runs it, and shows what it made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mbexport.commands import options
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED

_EXAMPLES = """\b
Examples:
  mbexport build --alpha 0.75 --int8
  mbexport build --alpha 0.25 --resolution 128 --data photos/ --int8 --gate top1_drop=0.01
"""


@click.command("build", epilog=_EXAMPLES)
@options.alpha
@options.resolution
@options.rho
@options.option("--int8", is_flag=True, help="Make int8 artifacts beside the fp32 ones.")
@options.option(
    "--precision", "precisions", type=click.Choice(["fp32", "int8"]), multiple=True, help="May be repeated."
)
@options.option(
    "--format",
    "formats",
    type=click.Choice(["tflite", "onnx"]),
    multiple=True,
    help="May be repeated; both if absent.",
)
@options.option("--data", default="digits", metavar="digits|DIR", help="What to learn: one sub-folder a class.")
@options.classes_file
@options.option("--crop-fraction", type=float, metavar="F", help="Central crop; 0.875 for photos, 1 for digits.")
@options.option("--epochs", type=int, metavar="N", help="Epochs of training; 16 for digits, 30 for photos.")
@options.option("--qat-epochs", type=int, default=2, metavar="N", help="Epochs of quantization-aware training.")
@options.option("--calibration", type=options.PATH, metavar="DIR", help="Images to calibrate on, instead of --data's.")
@options.option("--calibration-samples", type=int, default=300, metavar="N", help="Images to calibrate on, at most.")
@options.option(
    "--io",
    type=click.Choice(["uint8", "int8", "float32"]),
    default="uint8",
    help="Type of int8 artifacts' tensors.",
)
@options.gates
@options.seed
@options.threads
@options.option("--resume/--no-resume", default=True, help="Reuse the stages that an earlier run finished.")
@options.config
@options.option("--out", type=options.PATH, metavar="DIR", help="Output folder; dist/<model> if absent.")
def command(*, data: str, classes_file: Path | None, **given: Any) -> int:
    """Train, quantize, export and verify a MobileNet v1.

    Writes fp32 and, with --int8, int8 artifacts in both formats, labels.txt and report.json. Without --resolution
    the side is 64 px for digits and 224 px for photos.
    """
    plan_of = _checked_before_data(given)
    from mbexport.models.data import open_data

    source = open_data(data, classes_file=classes_file)
    plan = plan_of(len(source.class_names), source.is_photos)

    from mbexport.commands.console import ConsoleProgress
    from mbexport.pipeline import run
    from mbexport.quiet import quiet_libraries
    from mbexport.summary import print_report

    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            outcome = run(plan, source, progress)
        finally:
            progress.close()
        print_report(outcome.report, streams.out, out=outcome.out)
    return EXIT_DONE if outcome.report["passed"] else EXIT_GATE_FAILED


def _checked_before_data(given: dict[str, Any]) -> Any:
    """What makes the plan once the data is known; every option that can be checked before is."""
    from mbexport import plan as plans
    from mbexport.artifact import Format, Io
    from mbexport.models.preprocess import Preprocess
    from mbexport.models.spec import ModelSpec

    def plan_of(classes: int, is_photos: bool) -> plans.BuildPlan:
        px = options.resolution_px(
            given["resolution"],
            given["rho"],
            default_px=plans.PHOTO_RESOLUTION_PX if is_photos else plans.DIGITS_RESOLUTION_PX,
        )
        spec = ModelSpec(alpha=given["alpha"], resolution_px=px, classes=classes)
        crop = given["crop_fraction"]
        if crop is None:
            crop = plans.PHOTO_CROP if is_photos else plans.DIGITS_CROP
        epochs = given["epochs"]
        if epochs is None:
            epochs = plans.PHOTO_EPOCHS if is_photos else plans.DIGITS_EPOCHS
        return plans.BuildPlan(
            spec=spec,
            preprocess=Preprocess(resolution_px=px, crop_fraction=crop),
            out=given["out"] or Path("dist") / spec.stem_name,
            calibration=given["calibration"],
            calibration_samples=given["calibration_samples"],
            epochs=epochs,
            qat_epochs=given["qat_epochs"],
            precisions=_precisions(given["precisions"], int8=given["int8"]),
            formats=tuple(Format(name) for name in dict.fromkeys(given["formats"])) or tuple(Format),
            io=Io(given["io"]),
            limits=options.gate_limits(given["gates"]),
            seed=given["seed"],
            threads=given["threads"],
            resume=given["resume"],
        )

    plan_of(2, False)  # the number of classes is the only thing that the data can still make wrong
    return plan_of


def _precisions(names: Sequence[str], *, int8: bool) -> tuple[Any, ...]:
    from mbexport.artifact import Precision

    wanted = set(names) or {"fp32"}
    if int8:
        wanted |= {"fp32", "int8"}
    return tuple(precision for precision in Precision if precision.value in wanted)
