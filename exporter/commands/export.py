"""`mbexport export`: quantize, export and verify a network that is already trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from mbexport.commands import build_and_export, detection_options, network_options, options
from mbexport.commands.options import Group
from mbexport.errors import DataError, OptionError
from mbexport.formats.keras.format import KERAS
from mbexport.formats.trial import try_as
from mbexport.models.architectures import architecture_of
from mbexport.models.pretrained import IMAGENET_CLASSES, head_classes
from mbexport.models.spec import REFERENCE_RESOLUTION_PX
from mbexport.models.ssd.spec import REFERENCE_RESOLUTION as DETECTOR_RESOLUTION
from mbexport.models.task import Task

if TYPE_CHECKING:
    from mbexport.models.data.open import DataSet
    from mbexport.pipeline.plan import BuildPlan, Foreign, Stored

_EXAMPLES = """\b
Examples:
  mbexport export --model net.keras --calibration photos/ --data test/ --int8
  mbexport export --task detect --model cells.h5 --data cells/ --int8
  mbexport export --weights imagenet --alpha 0.75 --data imagenet/ --int8
"""

_LONGEST_STEM: Final = 200  # bytes: what is made of the model has longer names, and a file's has at most 255


@options.command("export", epilog=_EXAMPLES)
@options.option(
    "--model",
    group=Group.COMMON,
    type=options.PATH,
    metavar="FILE|DIR",
    is_input=True,
    help="A trained Keras model: .keras, .h5 or a SavedModel folder. With --task detect a detector that build made.",
)
@options.option(
    "--weights",
    group=Group.COMMON,
    metavar="imagenet|FILE",
    is_input=True,
    help="Instead of --model: the weights of a MobileNet that --arch, --alpha and the like describe. imagenet: those "
    "that Keras publishes.",
)
@options.option(
    "--data",
    group=Group.COMMON,
    metavar=options.DATA,
    is_input=True,
    help="Labelled images to verify on: the digits of scikit-learn, a folder with a sub-folder for each class, of tar "
    "shards of WebDataset or of TFRecord files, or a data set of TensorFlow Datasets. Without labels, --calibration "
    "alone will do.",
)
@network_options.task
@network_options.arch
@network_options.alpha
@network_options.resolution
@network_options.rho
@network_options.variants
@network_options.feature_stride
@network_options.anchors
@options.option(
    "--trust",
    group=Group.RUN,
    is_flag=True,
    help="Run the code in --model: Lambda layers and pickles. Without it such a model is refused.",
)
@options.option(
    "--qat-epochs",
    group=Group.QUANTIZATION,
    type=int,
    metavar="N",
    help="Epochs of quantization-aware training (distillation from the float network); none if absent.",
)
@detection_options.raw_heads
@build_and_export.shared_options
def command(**given: Any) -> int:
    """Quantize a network that is already trained, export it and verify the artifacts.

    The network is --model, or a MobileNet with --weights. Its int8 ranges are calibrated on --calibration, or on
    a part of --data that is then not verified on.
    """
    return build_and_export.run_and_show(task(given), is_dry=given["dry_run"])


def task(given: dict[str, Any]) -> build_and_export.Task:
    """What these values of the options ask for, all of them checked."""
    plan_of = _checked_before_data(given)
    files = build_and_export.checked_files(given)
    from mbexport.models.data.classes_file import read_labels

    classes_file = given["classes_file"]
    source = _opened_data(given)
    if source is not None:
        return build_and_export.Task(
            plan_of=lambda stderr: plan_of(len(source.class_names), source.is_photos, stderr), data=source, **files
        )
    labels = read_labels(classes_file) if classes_file is not None else None
    return build_and_export.Task(
        plan_of=lambda stderr: plan_of(len(labels) if labels else None, True, stderr),
        data=None,
        class_names=labels,
        **files,
    )


def _opened_data(given: dict[str, Any]) -> "DataSet | None":
    """The data of --data, with boxes for a detector; None without the option. Raises `DataError` for no images."""
    from mbexport.models.data.boxes.data_set import open_boxed_data
    from mbexport.models.data.open import open_data
    from mbexport.models.data.readable import parse_max_bad

    data, is_detector = given["data"], given["task"] is Task.DETECT
    if data is None and is_detector:
        raise DataError("a detector is verified on photos with boxes: give --data")
    if data is None and given["calibration"] is None:
        raise DataError("images are needed to calibrate and to verify on: give --data, --calibration or both")
    how = {"classes_file": given["classes_file"], "follow_links": given["follow_links"]}
    if is_detector:
        return open_boxed_data(data, **how, max_bad=parse_max_bad(given["max_bad"]))
    return None if data is None else open_data(data, **how)


def _require_for_task(given: dict[str, Any]) -> None:
    """Raises `OptionError` for an option that a network for this task does not have."""
    if given["task"] is Task.CLASSIFY:
        network_options.require_no_detector(given)
        return
    if given["weights"] is not None:
        raise OptionError(f"--weights is for --task {Task.CLASSIFY}, got --task {Task.DETECT}: give --model")
    detection_options.require_for_task(given)
    detection_options.require_table(given["anchors"])
    network_options.spec_of(given, resolution=given["resolution"] or DETECTOR_RESOLUTION, classes=1)


def _checked_before_data(given: dict[str, Any]) -> "Callable[[int | None, bool, TextIO | None], BuildPlan]":
    """A function that makes the plan once the data is known. Every option that can be checked before is checked now."""
    from mbexport.models.keras_import.files import require_model
    from mbexport.pipeline import plan as plans

    _require_for_task(given)
    if (given["model"] is None) == (given["weights"] is None):
        got = "neither" if given["model"] is None else "both"
        raise OptionError(f"give --model or --weights, got {got}")
    options.require_files(model=given["model"])
    if given["model"] is not None:
        try_as([(given["model"], KERAS)])
        require_model(given["model"], trust=given["trust"])
    shared = build_and_export.shared_plan(given)

    def plan_of(classes: int | None, is_photos: bool, stderr: TextIO | None) -> plans.BuildPlan:
        origin: Foreign | Stored
        if given["model"] is not None:
            origin, name = _foreign(given), stem_of(given["model"])
        else:
            origin = _stored(given, classes, stderr)
            name = origin.spec.stem_name
        return plans.BuildPlan(
            name=name,
            origin=origin,
            out=given["out"] or Path("dist") / name,
            crop_fraction=build_and_export.crop_fraction(given, is_photos=is_photos),
            **shared,
        )

    plan_of(2, False, None)
    return plan_of


def stem_of(model: Path) -> str:
    """The stem of the names of a model's artifacts: the name of its file or folder, without the ending.

    Raises `DataError` for a name that no manifest could hold, or that leaves no room for an ending.
    """
    stem = model.name.removesuffix(model.suffix)
    if "\\" in stem or not stem.isprintable() or len(stem.encode()) > _LONGEST_STEM:
        raise DataError(
            f"a model's file must have a name of at most {_LONGEST_STEM} bytes without control characters and \\, got "
            f"{model.name!r}"
        )
    return stem


def _foreign(given: dict[str, Any]) -> "Foreign":
    from mbexport.pipeline.plan import Foreign

    resolution = given["resolution"]
    if given["rho"] is not None:
        resolution = network_options.resolution_or_rho(resolution, given["rho"], default_px=REFERENCE_RESOLUTION_PX)
    stride = given["feature_stride"]
    return Foreign(
        model=given["model"],
        resolution=resolution,
        trust=given["trust"],
        task=given["task"],
        anchors=given["anchors"],
        feature_stride=None if stride is None else int(stride),
    )


def _stored(given: dict[str, Any], classes: int | None, stderr: TextIO | None) -> "Stored":
    from mbexport.models.keras_import.weights import stored_weights
    from mbexport.pipeline.plan import Stored

    resolution = network_options.resolution_or_rho(
        given["resolution"], given["rho"], default_px=REFERENCE_RESOLUTION_PX
    )
    spec = network_options.spec_of(given, resolution=resolution, classes=classes or IMAGENET_CLASSES)
    weights = build_and_export.weights_file(given["weights"], spec, stderr, needs_head=True)
    if weights.is_file():
        try_as([(weights, KERAS)])
    if classes is None and weights.is_file():
        classes = head_classes(architecture_of(spec).form, stored_weights(weights)) or IMAGENET_CLASSES
        spec = replace(spec, classes=classes)
    return Stored(spec=spec, weights=weights)
