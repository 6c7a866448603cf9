"""Shared parts of `build` and `export`: their options, the plan that these decide, and the run."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from mbexport.artifact import OPSET, OPSETS, Precision
from mbexport.commands import bundle_options, options
from mbexport.commands.config import config
from mbexport.commands.console import require_writable, show
from mbexport.commands.options import Group
from mbexport.commands.recipe import recipe_of, with_recipe
from mbexport.commands.temporary import temporary_files_in
from mbexport.errors import DataError, OptionError
from mbexport.escaping.terminal import visible
from mbexport.formats.coreml.rows import PACKAGES, usable_packages
from mbexport.formats.registry import EXPORTED
from mbexport.models.architectures import IMAGENET, architecture_of
from mbexport.models.pretrained import cached_file, imagenet_weights

if TYPE_CHECKING:
    from mbexport.models.data.open import DataSet
    from mbexport.models.spec import NetworkSpec
    from mbexport.pipeline.plan import BuildPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a command is to make: the plan, and the labelled images or else the classes' names.

    `plan_of` takes the stream that shows the progress of a download; without one nothing is downloaded.

    `summary` is the file that gets the verdict as Markdown, `status` the one that says how far the run is; `sign` makes
    the signature of the manifest.
    """

    plan_of: "Callable[[TextIO | None], BuildPlan]"
    data: "DataSet | None"
    class_names: tuple[str, ...] | None = None
    summary: Path | None = None
    sign: Callable[[bytes], bytes] | None = None
    status: Path | None = None


_SHARED: Final = (
    options.option(
        "--calibration",
        group=Group.COMMON,
        type=options.PATH,
        metavar="DIR",
        is_input=True,
        help="Folder of images to calibrate int8 ranges on; labels do not matter. Images of --data if absent.",
    ),
    options.option("--int8", group=Group.COMMON, is_flag=True, help="Make int8 artifacts beside the fp32 ones."),
    options.gates,
    options.option(
        "--dry-run",
        group=Group.COMMON,
        is_flag=True,
        is_recorded=False,
        help="Check options and inputs, show what would be done, and write nothing.",
    ),
    options.option(
        "--out",
        group=Group.COMMON,
        type=options.PATH,
        metavar="DIR",
        is_recorded=False,
        help="Output folder; dist/<model> if absent.",
    ),
    options.classes_file,
    options.crop_fraction,
    options.preprocess,
    options.mean,
    options.scale,
    options.option(
        "--golden",
        group=Group.DATA,
        type=options.PATH,
        metavar="DIR",
        is_input=True,
        help="Folder of up to 100 images for the golden vectors, which are published with the artifacts. Test images "
        "if absent.",
    ),
    options.max_bad,
    options.follow_links,
    options.option(
        "--precision",
        "precisions",
        group=Group.ARTIFACTS,
        type=click.Choice([*(each.value for each in Precision), *(each.name for each in PACKAGES)]),
        multiple=True,
        help="Make artifacts of this precision; may be repeated. dynamic and int16x8 are made as .tflite only, "
        "coreml-fp16 and coreml-w8 as .mlpackage for Apple's Core ML (docs/ios.md).",
    ),
    options.option(
        "--format",
        "formats",
        group=Group.ARTIFACTS,
        type=click.Choice([each.name for each in EXPORTED]),
        multiple=True,
        help="Make artifacts of this format; may be repeated. Every format if absent.",
    ),
    options.option(
        "--calibration-samples",
        group=Group.QUANTIZATION,
        type=int,
        default=300,
        metavar="N",
        help="Images to calibrate on, at most.",
    ),
    options.option(
        "--observer",
        group=Group.QUANTIZATION,
        metavar="NAME",
        help="How the range of a tensor follows from its values: minmax (if absent), moving-average, percentile, mse, "
        "entropy, or auto, which tries all of them.",
    ),
    options.option(
        "--ranges",
        group=Group.QUANTIZATION,
        type=options.PATH,
        metavar="FILE",
        is_input=True,
        help="Take the ranges from a <model>_ranges.json of an earlier run, instead of an observer's.",
    ),
    options.option(
        "--corrections",
        group=Group.QUANTIZATION,
        default="all",
        metavar="all|none|NAME[,NAME]",
        help="What reduces the error of int8 weights beyond rounding each to its nearest code: copies, equalization, "
        "rounding, bias, logits.",
    ),
    options.option(
        "--keep",
        "kept",
        group=Group.QUANTIZATION,
        multiple=True,
        metavar="float:LAYER|auto:N",
        help="Leave this convolution of int8 artifacts in float, or the N that cost the answers most; may be repeated. "
        "`mbexport inspect --sensitivity` lists them.",
    ),
    options.option(
        "--qat-steps",
        group=Group.QUANTIZATION,
        type=int,
        metavar="N",
        help="Steps of quantization-aware training, instead of --qat-epochs.",
    ),
    options.option(
        "--sensitivity/--no-sensitivity",
        group=Group.QUANTIZATION,
        default=True,
        is_recorded=False,
        help="Measure what rounding each layer costs (int8).",
    ),
    options.option(
        "--io",
        group=Group.ARTIFACTS,
        type=click.Choice(["uint8", "int8", "float32"]),
        default="uint8",
        help="Type of the input and output of int8 artifacts.",
    ),
    options.option(
        "--batch",
        group=Group.ARTIFACTS,
        default="1",
        metavar="N|dynamic",
        help="Images of one inference; with dynamic, the application decides.",
    ),
    options.option(
        "--logits",
        group=Group.ARTIFACTS,
        is_flag=True,
        help="Leave out the softmax or sigmoid at the end: artifacts give logits.",
    ),
    options.option(
        "--layout",
        group=Group.ARTIFACTS,
        type=click.Choice(["nhwc", "nchw"]),
        default="nhwc",
        help="Order of the dimensions of an .onnx file's input; camera images are nhwc.",
    ),
    options.option(
        "--opset",
        group=Group.ARTIFACTS,
        type=int,
        default=OPSET,
        metavar="N",
        help=f"Operator set of .onnx files, from {OPSETS[0]} to {OPSETS[-1]}. The lower it is, the older the runtimes "
        "that read them.",
    ),
    options.option(
        "--license", group=Group.ARTIFACTS, metavar="TEXT", help="Licence of the model, to be named in its files."
    ),
    options.option(
        "--npu",
        group=Group.ARTIFACTS,
        metavar="VENDOR:CHIP",
        multiple=True,
        help="Compile int8 artifacts for this chip's NPU, too, as qualcomm:SM8650; may be repeated (docs/npu-gpu.md).",
    ),
    options.option(
        "--npu-images",
        group=Group.VERDICT,
        type=int,
        metavar="N",
        help="Images that the emulated NPU answers, at most; 16 if absent.",
    ),
    bundle_options.sign,
    *bundle_options.bundles,
    options.strict,
    options.summary,
    options.latency,
    options.threads,
    options.seed,
    options.option(
        "--resume/--no-resume",
        group=Group.RUN,
        default=True,
        is_recorded=False,
        help="Reuse the stages that an earlier run finished in the output folder.",
    ),
    options.cache,
    options.status,
    options.force,
    config,
)


# The options that every maker of artifacts has.
shared_options: Final = options.together(*_SHARED)


def shared_plan(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a plan that the shared options decide, checked; all but the crop, which depends on the data."""
    from mbexport.artifact import Io, Layout
    from mbexport.calibration.choices import parse_corrections, parse_keep
    from mbexport.models.data.readable import parse_max_bad

    return {
        "normalization": options.normalization(given["preprocess"], given["mean"], given["scale"]),
        "calibration": given["calibration"],
        "golden": given["golden"],
        "calibration_samples": given["calibration_samples"],
        "observer": _observer(given["observer"], ranges=given["ranges"]),
        "ranges": given["ranges"],
        "corrections": parse_corrections(given["corrections"]),
        "keep": parse_keep(given["kept"]),
        "precisions": _precisions(given["precisions"], int8=given["int8"]),
        "packages": usable_packages(given["precisions"]),
        "formats": tuple(dict.fromkeys(given["formats"])) or tuple(each.name for each in EXPORTED),
        **_distillation(given["qat_epochs"], given["qat_steps"]),
        "io": Io(given["io"]),
        "batch": _batch(given["batch"]),
        "logits": given["logits"],
        "raw_heads": given["raw_heads"],
        "layout": Layout(given["layout"]),
        "opset": given["opset"],
        "licence": given["license"],
        **_npu(given["npu"], given["npu_images"]),
        "bundling": bundle_options.bundling(given),
        "sensitivity": given["sensitivity"],
        "max_bad": parse_max_bad(given["max_bad"]),
        "follow_links": given["follow_links"],
        "limits": options.gate_limits(given["gates"]),
        "strict": given["strict"],
        "seed": given["seed"],
        "latency": given["latency"],
        "threads": given["threads"],
        "resume": given["resume"],
        "cache": options.cache_folder(given["cache"]),
        "force": given["force"],
    }


def checked_files(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a task that files decide: `summary`, `status` and `sign`.

    Raises `InputError` for a file or folder that an option names and that cannot be used: a folder of a million images
    takes minutes to list, so that this comes first.
    """
    from mbexport.calibration.ranges.range_file import read_ranges

    options.require_files(ranges=given["ranges"], classes=given["classes_file"])
    if given["ranges"] is not None:
        read_ranges(given["ranges"])
    options.require_folders(calibration=given["calibration"], golden=given["golden"])
    require_writable(given["summary"])
    require_writable(given["status"], "--status")
    return {"summary": given["summary"], "status": given["status"], "sign": bundle_options.signer(given["signing_key"])}


def crop_fraction(given: Mapping[str, Any], *, is_photos: bool) -> float:
    """The value of --crop-fraction; if absent the usual one for photos, for digits, or for photos with boxes."""
    from mbexport.pipeline.usual import usual_of

    fraction: float | None = given["crop_fraction"]
    return usual_of(given["task"], is_photos=is_photos).crop_fraction if fraction is None else fraction


def _observer(name: str | None, *, ranges: Path | None) -> Any:
    from mbexport.calibration.choices import parse_observer
    from mbexport.pipeline import plan as plans

    if name is None:
        return plans.OBSERVER
    if ranges is not None:
        raise OptionError(f"give --observer or --ranges, not both, got --observer {name}")
    return parse_observer(name)


def _distillation(epochs: int | None, steps: int | None) -> dict[str, Any]:
    if epochs is not None and steps is not None:
        raise OptionError(f"give --qat-epochs or --qat-steps, not both, got --qat-epochs {epochs} --qat-steps {steps}")
    return {"qat_steps": steps} | ({} if epochs is None else {"qat_epochs": epochs})


def _npu(names: Sequence[str], images: int | None) -> dict[str, Any]:
    from mbexport.formats.npu.chips import usable_chips

    if images is not None and not names:
        raise OptionError(f"--npu-images goes with --npu, got --npu-images {images} alone")
    return {"npu": usable_chips(names)} | ({} if images is None else {"npu_images": images})


def _batch(text: str) -> int | None:
    """The images of one inference, None for a number that is not fixed."""
    if text == "dynamic":
        return None
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"--batch must be a whole number or dynamic, got {text}") from None


def _precisions(names: Sequence[str], *, int8: bool) -> tuple[Any, ...]:
    """What is made for runtimes that run here: fp32 if nothing else, beside which packages can be judged."""
    wanted = set(names) - {each.name for each in PACKAGES} or {"fp32"}
    if int8:
        wanted |= {"fp32", "int8"}
    return tuple(precision for precision in Precision if precision.value in wanted)


def weights_file(text: str, spec: "NetworkSpec", stderr: TextIO | None, *, needs_head: bool) -> Path:
    """The file that --weights names: `imagenet` is found in Keras' cache, or downloaded, with a bar on a terminal.

    Unless it `needs_head`, a cached file without one will do. Without `stderr` nothing is downloaded: the file may not
    be there yet. Raises `DataError` if there is no such file,
    `OptionError` if Keras publishes no weights for `spec`.
    """
    if text != IMAGENET:
        if not Path(text).is_file():
            raise DataError(f"weights must be imagenet or a file, got {text}")
        return Path(text)
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    architecture = architecture_of(spec)
    names = architecture.imagenet_files(spec)[: 1 if needs_head else None]
    if stderr is None:
        return cached_file(names, home)
    with redirect_stdout(stderr) if stderr.isatty() else nullcontext():
        return imagenet_weights(architecture.form, names, home)


def run_and_show(task: Task, *, is_dry: bool) -> int:
    """Run the plan of `task`, print its report, and return the exit code; if `is_dry`, only print the plan."""
    from mbexport.commands.console import ConsoleProgress, show_plan
    from mbexport.pipeline.build import run
    from mbexport.pipeline.dry_run import planned
    from mbexport.pipeline.status import StatusFile
    from mbexport.quiet import quiet_libraries
    from mbexport.seal import why_not_kept
    from mbexport.workdir import temporary_place

    recipe = recipe_of(click.get_current_context())
    with quiet_libraries() as streams:
        plan = with_recipe(task.plan_of(None if is_dry else streams.err), recipe)
        if is_dry:
            is_signed = task.sign is not None
            return show_plan(planned(plan, task.data, class_names=task.class_names, is_signed=is_signed), streams.out)
        if (reason := why_not_kept()) is not None:
            streams.err.write(visible(f"the next run will not reuse the stages of this one: {reason}") + "\n")
        console = ConsoleProgress(streams.err)
        progress = console if task.status is None else StatusFile(task.status, console)
        try:
            with temporary_files_in(temporary_place(plan.out)):
                outcome = run(plan, task.data, progress, class_names=task.class_names, sign=task.sign)
        finally:
            console.close()
        if not plan.bundled:
            streams.err.write("no bundles for apps: they need a .tflite that takes one image at a time\n")
        return show(outcome.report, streams, out=outcome.out, summary=task.summary)
