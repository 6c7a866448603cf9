"""`mbexport build`: train, quantize, export and verify a MobileNet."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from mbexport.commands import build_and_export, detection_options, network_options, options
from mbexport.commands.options import Group
from mbexport.models.task import Task

if TYPE_CHECKING:
    from mbexport.models.data.imageset import DataSet
    from mbexport.pipeline.plan import BuildPlan

    _PlanOf = Callable[[DataSet | None, TextIO | None], BuildPlan]

_ANY_CLASSES: Final = 2  # until the data is known

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
    "class, of tar shards of WebDataset or of TFRecord files, or a data set of TensorFlow Datasets. For a detector, a "
    "folder of images with boxes as Pascal VOC, COCO or YOLO.",
)
@network_options.task
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
    help="Epochs of training; if absent 12 for digits, 30 for photos, and at most 60 with --weights; 100 for a "
    "detector.",
)
@network_options.rho
@network_options.variants
@network_options.feature_stride
@network_options.anchors
@options.option(
    "--log-dir",
    group=Group.TRAINING,
    type=options.PATH,
    metavar="DIR",
    is_recorded=False,
    help="Write training curves for TensorBoard to this folder.",
)
@options.option(
    "--keras",
    group=Group.ARTIFACTS,
    is_flag=True,
    help="Write the trained float network, too: a Keras .h5 that Keras and `mbexport export --model` read.",
)
@options.option(
    "--qat-epochs",
    group=Group.QUANTIZATION,
    type=int,
    metavar="N",
    help="Epochs of quantization-aware training, 0 for none; if absent 0 for digits and 2 for photos; 0 for a "
    "detector.",
)
@detection_options.raw_heads
@build_and_export.shared_options
def command(**given: Any) -> int:
    """Train a MobileNet, quantize it, export it and verify the artifacts.

    Writes artifacts in every format, labels.txt, a report, golden vectors and bundles for apps. Without --resolution
    the side is 64 px for digits and 224 px for photos, 300 px for a detector. A run that was stopped goes on where it
    ended.
    """
    return build_and_export.run_and_show(task(given), is_dry=given["dry_run"])


def task(given: dict[str, Any]) -> build_and_export.Task:
    """What these values of the options ask for, all of them checked."""
    return tasks([given])[0]


def tasks(family: "Sequence[Mapping[str, Any]]") -> list[build_and_export.Task]:
    """What several runs on the same images are asked for, all of them checked before the images are listed, once."""
    plans = [_checked_before_data(given) for given in family]
    files = [build_and_export.checked_files(given) for given in family]
    from mbexport.models.data.boxes.data_set import open_boxed_data
    from mbexport.models.data.open import open_data
    from mbexport.models.data.readable import parse_max_bad

    first = family[0]
    how = {"classes_file": first["classes_file"], "follow_links": first["follow_links"]}
    if first["task"] is Task.DETECT:
        source = open_boxed_data(first["data"], **how, max_bad=parse_max_bad(first["max_bad"]))
    else:
        source = open_data(first["data"], **how)
    return [
        build_and_export.Task(plan_of=partial(plan_of, source), data=source, **own)
        for plan_of, own in zip(plans, files, strict=True)
    ]


def _checked_before_data(given: "Mapping[str, Any]") -> "_PlanOf":
    """A function that makes the plan once the data is known. Every option that can be checked before is checked now."""
    from mbexport.pipeline import plan as plans
    from mbexport.pipeline.usual import usual_of

    detection_options.require_for_task(given)
    if given["log_dir"] is not None:
        options.require_library("tensorboard", needed_by="--log-dir", extra="tensorboard")
    shared = build_and_export.shared_plan(given)

    def plan_of(source: "DataSet | None", stderr: TextIO | None) -> plans.BuildPlan:
        usual = usual_of(given["task"], is_photos=source is not None and source.is_photos)
        resolution = network_options.resolution_or_rho(
            given["resolution"], given["rho"], default_px=usual.resolution_px
        )
        classes = _ANY_CLASSES if source is None else len(source.class_names)
        spec = network_options.spec_of(given, resolution=resolution, classes=classes)
        choice = None
        if source is not None and given["task"] is Task.DETECT:
            choice = detection_options.chosen_anchors(source, spec, given)
            spec = choice.chosen.spec
        weights, epochs = None, usual.epochs
        if given["weights"] != "none":
            weights = build_and_export.weights_file(given["weights"], spec, stderr, needs_head=False)
            epochs = usual.fine_tuning_epochs
        if given["epochs"] is not None:
            epochs = given["epochs"]
        return plans.BuildPlan(
            name=spec.stem_name,
            origin=plans.Trained(spec=spec, epochs=epochs, weights=weights, anchors=choice),
            out=given["out"] or Path("dist") / spec.stem_name,
            crop_fraction=usual.crop_fraction if given["crop_fraction"] is None else given["crop_fraction"],
            keras=given["keras"],
            log_dir=given["log_dir"],
            **{"qat_epochs": usual.qat_epochs, **shared},
        )

    plan_of(None, None)  # the number of classes is the only thing that the data can still make wrong
    return plan_of
