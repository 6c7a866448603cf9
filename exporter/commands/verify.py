"""`mbexport verify`: compare artifacts, whoever made them, on labelled images."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.commands import engines, options
from mbexport.commands import verify_parts as parts
from mbexport.commands.config import config
from mbexport.commands.console import require_writable, show
from mbexport.commands.options import Group
from mbexport.errors import EXIT_DONE, MAX_SEED, MAX_THREADS, OptionError, require_within
from mbexport.formats.chosen_paths import every_path, usable_paths
from mbexport.formats.trial import warm_up

if TYPE_CHECKING:
    from mbexport.models.data.imageset import DataSet
    from mbexport.pipeline.verify_options import VerifyOptions
    from mbexport.verification.measure_paths import PathChoice

MAX_PATH_IMAGES: Final = 1_000_000
# Options of classifiers alone: their names, as values have them and as they are typed, and the values that say nothing.
_OF_CLASSIFIERS: Final = (
    ("crop_fraction", "--crop-fraction", None),
    ("background", "--background", False),
    ("shards", "--shards", None),
)


def _path_names(*, is_usual: bool) -> str:
    """The kernel paths of all formats that are usual ones, or are not, as help lists them."""
    return ", ".join(row.spelling for _, row in every_path() if row.is_usual is is_usual)


_EXAMPLES = """\b
Examples:
  mbexport verify dist/mobilenet_v1_0.75_64/*.tflite --data digits
  mbexport verify a_int8.tflite --reference a.keras --data photos/ \\
      --preprocess mobilenet --gate agreement=0.98
  mbexport verify cells_int8.onnx --reference cells_fp32.onnx --data cells/
  mbexport verify a_int8.tflite --data photos/ --gate top1=0.7
  mbexport verify google_quant.tflite --reference ours_fp32.tflite \\
      --data imagenet/ --background
  mbexport verify a_int8.onnx --data photos/ --path qnn-htp:v75
"""


@options.command("verify", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=options.PATH)
@options.option(
    "--data",
    group=Group.COMMON,
    required=True,
    is_input=True,
    metavar=options.DATA,
    help="Labelled images: the digits of scikit-learn, a folder with a sub-folder for each class, of tar shards of "
    "WebDataset or of TFRecord files (its `test/` or `val/`, if there is one), or a data set of TensorFlow Datasets. "
    "For detectors, a folder of images with boxes as Pascal VOC, COCO or YOLO.",
)
@options.option(
    "--reference",
    group=Group.COMMON,
    type=options.PATH,
    metavar="FILE",
    help="The file that all others are compared with; if absent, the first of several FILES that is fp32, or the "
    "labels of the images alone.",
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
@options.background
@options.max_bad
@options.follow_links
@options.option(
    "--path",
    "paths",
    group=Group.VERDICT,
    multiple=True,
    metavar="NAME",
    help="Compare this kernel path of the runtime with its default one, may be repeated; the usual ones, which need "
    f"nothing, if absent: {_path_names(is_usual=True)}. Others need a package or a driver, see `mbexport doctor`: "
    f"{_path_names(is_usual=False)}.",
)
@options.option(
    "--path-images",
    group=Group.VERDICT,
    type=int,
    metavar="N",
    help="Images that each --path is given at most, of the test images; a few that each path decides if absent, since "
    "emulations are slow.",
)
@options.option(
    "--shards",
    group=Group.RUN,
    type=int,
    metavar="N",
    help="Split the images into N parts, which processes of their own answer; the report is the same.",
)
@engines.jobs
@engines.address
@options.option("--part", group=Group.RUN, hidden=True, is_recorded=False)
@options.option("--parts", group=Group.RUN, type=options.PATH, hidden=True, is_recorded=False)
@options.strict
@options.summary
@options.latency
@options.threads
@options.seed
@options.force
@config
@click.pass_context
def command(context: click.Context, /, **given: Any) -> int:
    """Compare .tflite, .onnx and Keras files on labelled images, whoever made them.

    On a folder of images with boxes they are detectors, in .tflite and .onnx.

    Every file gets the same pixels, scaled as the file itself says that it expects them; for files that do not say,
    give --preprocess, or --mean and --scale.

    Exit codes: 0 every gate passed, 1 a gate failed, 2 bad input.
    """
    verify_options, summary, out = verify_options_of(given), given["summary"], given["out"]
    require_writable(summary)
    options.require_place(force=given["force"], place=out)
    options.require_files(reference=given["reference"], classes=given["classes_file"])
    parts.require_shards(given)
    warm_up(given["files"])
    from mbexport.commands.console import ConsoleProgress
    from mbexport.pipeline.verify_detectors import verify_detectors
    from mbexport.pipeline.verify_files import verify_files, verify_part
    from mbexport.quiet import quiet_libraries

    data = data_of(given)
    with quiet_libraries() as streams:
        progress = ConsoleProgress(streams.err)
        try:
            if given["part"] is not None:
                part = parts.parse_part(given["part"])
                verify_part(verify_options, data, part, given["parts"], progress=progress)
                return EXIT_DONE
            if data.objects is not None:
                report = verify_detectors(verify_options, data, out=out, progress=progress, force=given["force"])
            else:
                with parts.opened(context, streams.err) as shards:
                    report = verify_files(
                        verify_options, data, out=out, progress=progress, force=given["force"], parts=shards
                    )
        finally:
            progress.close()
        return show(report, streams, out=out, summary=summary, as_json=given["as_json"])


def data_of(given: Mapping[str, Any]) -> "DataSet":
    """The images that these values of the options name: with boxes, if the folder holds such, else labelled ones."""
    from mbexport.models.data.boxes.data_set import holds_boxes, open_boxed_data
    from mbexport.models.data.open import open_data
    from mbexport.models.data.readable import parse_max_bad

    name, links = given["data"], given["follow_links"]
    how = {"classes_file": given["classes_file"], "follow_links": links}
    if not holds_boxes(name, follow_links=links):
        return open_data(name, **how)
    _require_for_detectors(given)
    return open_boxed_data(name, **how, max_bad=parse_max_bad(given["max_bad"]))


def _require_for_detectors(given: Mapping[str, Any]) -> None:
    """Raises `OptionError` for an option that a verification of detectors does not have."""
    for name, option, usual in _OF_CLASSIFIERS:
        if given[name] != usual:
            raise OptionError(f"{option} is for classifiers, got it with boxes in --data: drop {option}")


def verify_options_of(given: Mapping[str, Any]) -> "VerifyOptions":
    """What these values of the options ask for; all of them are checked, no file is opened."""
    from mbexport.models.data.readable import parse_max_bad
    from mbexport.pipeline.verify_options import VerifyOptions
    from mbexport.verification.gates import check_limits
    from mbexport.verification.task_gates import TASK_GATES

    limits = options.gate_limits(given["gates"])
    check_limits(limits, {name: gate for table in TASK_GATES.values() for name, gate in table.items()})
    require_within("--seed", given["seed"], 0, MAX_SEED)
    require_within("--threads", given["threads"], 1, MAX_THREADS)
    return VerifyOptions(
        files=given["files"],
        reference=given["reference"],
        crop_fraction=given["crop_fraction"],
        normalization=options.normalization(given["preprocess"], given["mean"], given["scale"]),
        background=given["background"],
        max_bad=parse_max_bad(given["max_bad"]),
        limits=limits,
        strict=given["strict"],
        latency=given["latency"],
        seed=given["seed"],
        threads=given["threads"],
        paths=_paths_of(given),
    )


def _paths_of(given: Mapping[str, Any]) -> "PathChoice":
    """The kernel paths that are asked for. Raises `OptionError` for one that cannot be had, and for a bad number."""
    from mbexport.verification.measure_paths import PathChoice

    images = given["path_images"]
    if images is not None:
        require_within("--path-images", images, 1, MAX_PATH_IMAGES)
        if not given["paths"]:
            raise OptionError("--path-images goes with --path NAME, got none")
    return PathChoice(names=usable_paths(given["paths"]), images=images)
