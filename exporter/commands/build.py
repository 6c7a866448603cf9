"""`mbexport build`: train, quantize, export and verify a MobileNet."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mbexport.commands import build_and_export, network_options, options
from mbexport.commands.options import Group

if TYPE_CHECKING:
    from mbexport.pipeline.plan import BuildPlan

    _PlanOf = Callable[[int, bool, TextIO | None], BuildPlan]

_EXAMPLES = """\b
Examples:
  mbexport build --alpha 0.75 --int8
  mbexport build --alpha 0.25 --weights imagenet --data photos/ --int8
"""


@options.command("build", epilog=_EXAMPLES)
@options.option(
    "--data",
    group=Group.COMMON,
    default="digits",
    metavar=options.DATA,
    is_input=True,
    help="Labelled images to train and verify on: the digits of scikit-learn, a folder with a sub-folder for each "
    "class, of tar shards of WebDataset or of TFRecord files, or a data set of TensorFlow Datasets.",
)
@network_options.arch
@network_options.alpha
@network_options.resolution
@options.option(
    "--weights",
    group=Group.COMMON,
    default="none",
    metavar="none|imagenet|FILE",
    is_input=True,
    help="Start from these weights and train a new head. imagenet: the weights that Keras publishes.",
)
@options.option(
    "--epochs",
    group=Group.COMMON,
    type=int,
    metavar="N",
    help="Epochs of training; if absent 16 for digits, 30 for photos, and at most 60 with --weights.",
)
@network_options.rho
@network_options.variants
@options.option(
    "--log-dir",
    group=Group.TRAINING,
    type=options.PATH,
    metavar="DIR",
    is_recorded=False,
    help="Write training curves for TensorBoard to this folder.",
)
@options.option(
    "--qat-epochs",
    group=Group.QUANTIZATION,
    type=int,
    metavar="N",
    help="Epochs of quantization-aware training, 0 for none; if absent 0 for digits and 2 for photos.",
)
@build_and_export.shared_options
def command(**given: Any) -> int:
    """Train a MobileNet, quantize it, export it and verify the artifacts.

    Writes artifacts in every format, labels.txt, a report, golden vectors and bundles for apps. Without --resolution
    the side is 64 px for digits and 224 px for photos. A run that was stopped goes on where it ended.
    """
    return build_and_export.run_and_show(task(given), is_dry=given["dry_run"])


def task(given: dict[str, Any]) -> build_and_export.Task:
    """What these values of the options ask for, all of them checked."""
    return tasks([given])[0]


def tasks(family: "Sequence[Mapping[str, Any]]") -> list[build_and_export.Task]:
    """What several runs on the same images are asked for, all of them checked before the images are listed, once."""
    plans = [_checked_before_data(given) for given in family]
    files = [build_and_export.checked_files(given) for given in family]
    from mbexport.models.data.open import open_data

    first = family[0]
    source = open_data(first["data"], classes_file=first["classes_file"], follow_links=first["follow_links"])

    def planned(plan_of: "_PlanOf", stderr: TextIO | None) -> "BuildPlan":
        return plan_of(len(source.class_names), source.is_photos, stderr)

    return [
        build_and_export.Task(plan_of=partial(planned, plan_of), data=source, **own)
        for plan_of, own in zip(plans, files, strict=True)
    ]


def _checked_before_data(given: "Mapping[str, Any]") -> "_PlanOf":
    """A function that makes the plan once the data is known. Every option that can be checked before is checked now."""
    from mbexport.pipeline import plan as plans

    if given["log_dir"] is not None:
        options.require_library("tensorboard", needed_by="--log-dir", extra="tensorboard")
    shared = build_and_export.shared_plan(given)

    def plan_of(classes: int, is_photos: bool, stderr: TextIO | None) -> plans.BuildPlan:
        resolution = network_options.resolution_or_rho(
            given["resolution"],
            given["rho"],
            default_px=plans.PHOTO_RESOLUTION_PX if is_photos else plans.DIGITS_RESOLUTION_PX,
        )
        spec = network_options.spec_of(given, resolution=resolution, classes=classes)
        epochs = given["epochs"]
        if epochs is None:
            epochs = plans.PHOTO_EPOCHS if is_photos else plans.DIGITS_EPOCHS
            if given["weights"] != "none":
                epochs = plans.FINE_TUNING_EPOCHS
        weights = None
        if given["weights"] != "none":
            weights = build_and_export.weights_file(given["weights"], spec, stderr, needs_head=False)
        return plans.BuildPlan(
            name=spec.stem_name,
            origin=plans.Trained(spec=spec, epochs=epochs, weights=weights),
            out=given["out"] or Path("dist") / spec.stem_name,
            crop_fraction=build_and_export.crop_fraction(given["crop_fraction"], is_photos=is_photos),
            log_dir=given["log_dir"],
            **{"qat_epochs": plans.PHOTO_QAT_EPOCHS if is_photos else plans.DIGITS_QAT_EPOCHS, **shared},
        )

    plan_of(2, False, None)  # the number of classes is the only thing that the data can still make wrong
    return plan_of
