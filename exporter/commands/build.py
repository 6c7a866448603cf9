"""Turns the options of `mbexport build` into a plan, runs it, and shows what it made."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mbexport.commands import build_and_export as making
from mbexport.commands import options

if TYPE_CHECKING:
    from mbexport.pipeline.plan import BuildPlan

_EXAMPLES = """\b
Examples:
  mbexport build --alpha 0.75 --int8
  mbexport build --alpha 0.25 --resolution 128 --weights imagenet --data photos/ --int8
"""


@click.command("build", epilog=_EXAMPLES)
@options.alpha
@options.resolution
@options.rho
@options.conv
@options.shallow
@options.option(
    "--weights",
    default="none",
    metavar="none|imagenet|FILE",
    is_input=True,
    help="What to start from; the head is trained anew. imagenet: Keras' own.",
)
@options.option(
    "--data",
    default="digits",
    metavar="digits|DIR|tfds:NAME",
    is_input=True,
    help="What to learn: one sub-folder a class.",
)
@options.option(
    "--epochs",
    type=int,
    metavar="N",
    help="Epochs of training; if absent 16 for digits, 30 for photos, 60 at most from --weights.",
)
@options.option("--qat-epochs", type=int, metavar="N", help="Epochs of quantization-aware training; 2 if absent.")
@options.option("--log-dir", type=options.PATH, metavar="DIR", is_recorded=False, help="Curves for TensorBoard.")
@making.shared_options
def command(**given: Any) -> int:
    """Train, quantize, export and verify a MobileNet v1.

    Writes fp32 and, with --int8, int8 artifacts in both formats, labels.txt and report.json. Without --resolution
    the side is 64 px for digits and 224 px for photos. Training goes on from the last epoch if it was stopped.
    """
    return making.run_and_show(task(given))


def task(given: dict[str, Any]) -> making.Task:
    """What these values of the options ask for; all of them are checked."""
    plan_of = _checked_before_data(given)
    from mbexport.models.data.open import open_data

    source = open_data(given["data"], classes_file=given["classes_file"])
    return making.Task(
        plan_of=lambda stderr: plan_of(len(source.class_names), source.is_photos, stderr),
        data=source,
        summary=given["summary"],
        signing_key=given["signing_key"],
    )


def _checked_before_data(given: dict[str, Any]) -> "Callable[[int, bool, TextIO | None], BuildPlan]":
    """What makes the plan once the data is known; every option that can be checked before is."""
    from mbexport.models.mobilenet_v1.spec import ModelSpec
    from mbexport.pipeline import plan as plans

    if given["log_dir"] is not None:
        options.require_library("tensorboard", needed_by="--log-dir", extra="tensorboard")
    shared = making.shared_plan(given, default_qat_epochs=plans.QAT_EPOCHS)

    def plan_of(classes: int, is_photos: bool, stderr: TextIO | None) -> plans.BuildPlan:
        px = options.resolution_px(
            given["resolution"],
            given["rho"],
            default_px=plans.PHOTO_RESOLUTION_PX if is_photos else plans.DIGITS_RESOLUTION_PX,
        )
        spec = ModelSpec(
            alpha=given["alpha"], resolution_px=px, classes=classes, conv=given["conv"], shallow=given["shallow"]
        )
        epochs = given["epochs"]
        if epochs is None:
            epochs = plans.PHOTO_EPOCHS if is_photos else plans.DIGITS_EPOCHS
            if given["weights"] != "none":
                epochs = plans.FINE_TUNING_EPOCHS
        weights = None
        if given["weights"] != "none":
            weights = making.weights_file(given["weights"], spec, stderr)
        return plans.BuildPlan(
            name=spec.stem_name,
            origin=plans.Trained(spec=spec, epochs=epochs, weights=weights),
            out=given["out"] or Path("dist") / spec.stem_name,
            crop_fraction=making.crop_fraction(given["crop_fraction"], is_photos=is_photos),
            log_dir=given["log_dir"],
            **shared,
        )

    plan_of(2, False, None)  # the number of classes is the only thing that the data can still make wrong
    return plan_of
