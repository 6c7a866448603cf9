"""Turns what `build` and `export` have in common on the command line into parts of a plan, and runs it."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from mbexport.artifact import Precision
from mbexport.commands import options
from mbexport.commands.console import require_writable, show
from mbexport.commands.recipe import recipe_of
from mbexport.errors import DataError, OptionError
from mbexport.formats.registry import EXPORTED

if TYPE_CHECKING:
    from mbexport.models.data.open import Data
    from mbexport.models.mobilenet_v1.spec import ModelSpec
    from mbexport.pipeline.plan import BuildPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a command is to make: the plan, for the real stderr, and the labelled images or else the classes' names.

    `summary` is the file that gets the verdict as Markdown; the manifest is signed with `signing_key`.
    """

    plan_of: "Callable[[TextIO], BuildPlan]"
    data: "Data | None"
    class_names: tuple[str, ...] | None = None
    summary: Path | None = None
    signing_key: Path | None = None


_SHARED: Final = (
    options.option("--int8", is_flag=True, help="Make int8 artifacts beside the fp32 ones."),
    options.option(
        "--precision",
        "precisions",
        type=click.Choice([each.value for each in Precision]),
        multiple=True,
        help="May be repeated; dynamic and int16x8 are made as .tflite only.",
    ),
    options.option(
        "--format",
        "formats",
        type=click.Choice([each.name for each in EXPORTED]),
        multiple=True,
        help="May be repeated; both if absent.",
    ),
    options.classes_file,
    options.option(
        "--crop-fraction", type=float, metavar="F", help="Central crop; 0.875 for photos, 1 for digits if absent."
    ),
    options.preprocess,
    options.mean,
    options.scale,
    options.option(
        "--calibration",
        type=options.PATH,
        metavar="DIR",
        is_input=True,
        help="Images to calibrate on, instead of --data's.",
    ),
    options.option(
        "--golden",
        type=options.PATH,
        metavar="DIR",
        is_input=True,
        help="Images for golden vectors, which travel with the files, instead of --data's.",
    ),
    options.option(
        "--calibration-samples", type=int, default=300, metavar="N", help="Images to calibrate on, at most."
    ),
    options.option(
        "--observer",
        metavar="NAME",
        help="How ranges are found: minmax (if absent), moving-average, percentile, mse, entropy or auto.",
    ),
    options.option(
        "--ranges",
        type=options.PATH,
        metavar="FILE",
        is_input=True,
        help="Reuse the ranges that an earlier run saved.",
    ),
    options.option(
        "--corrections",
        default="all",
        metavar="all|none|NAME[,NAME]",
        help="Of copies, equalization, rounding, bias, logits: what is done beside rounding to the nearest code.",
    ),
    options.option("--qat-steps", type=int, metavar="N", help="Steps of distillation, in the place of epochs."),
    options.option(
        "--io",
        type=click.Choice(["uint8", "int8", "float32"]),
        default="uint8",
        help="Type of int8 artifacts' tensors.",
    ),
    options.option(
        "--batch", default="1", metavar="N|dynamic", help="Images of one inference; dynamic: as many as are given."
    ),
    options.option("--logits", is_flag=True, help="Give logits: leave out the softmax or sigmoid at the end."),
    options.option(
        "--layout",
        type=click.Choice(["nhwc", "nchw"]),
        default="nhwc",
        help="Order of an .onnx file's input; camera bytes are nhwc.",
    ),
    options.option("--opset", type=int, default=17, metavar="N", help="Of .onnx files; phones carry old runtimes."),
    options.option("--license", metavar="TEXT", help="The model's licence, which its files then name."),
    *options.bundles,
    options.sign,
    options.option(
        "--sensitivity/--no-sensitivity",
        default=True,
        is_recorded=False,
        help="Find out what each layer's rounding costs (int8).",
    ),
    options.max_bad,
    options.gates,
    options.strict,
    options.summary,
    options.seed,
    options.threads,
    options.option("--resume/--no-resume", default=True, is_recorded=False, help="Reuse what an earlier run finished."),
    options.config,
    options.option(
        "--out",
        type=options.PATH,
        metavar="DIR",
        is_recorded=False,
        help="Output folder; dist/<model> if absent.",
    ),
)


# The options that every maker of artifacts has.
shared_options: Final = options.together(*_SHARED)


def shared_plan(given: dict[str, Any], *, default_qat_epochs: int) -> dict[str, Any]:
    """The fields of a plan that these options decide, checked; the crop is not among them: it depends on the data."""
    from mbexport.artifact import Io, Layout
    from mbexport.calibration.choices import parse_corrections
    from mbexport.models.data.readable import parse_max_bad

    return {
        "normalization": options.normalization(given["preprocess"], given["mean"], given["scale"]),
        "calibration": given["calibration"],
        "golden": given["golden"],
        "calibration_samples": given["calibration_samples"],
        "observer": _observer(given["observer"], ranges=given["ranges"]),
        "ranges": given["ranges"],
        "corrections": parse_corrections(given["corrections"]),
        "precisions": _precisions(given["precisions"], int8=given["int8"]),
        "formats": tuple(dict.fromkeys(given["formats"])) or tuple(each.name for each in EXPORTED),
        **_distillation(given["qat_epochs"], given["qat_steps"], default_epochs=default_qat_epochs),
        "io": Io(given["io"]),
        "batch": _batch(given["batch"]),
        "logits": given["logits"],
        "layout": Layout(given["layout"]),
        "opset": given["opset"],
        "licence": given["license"],
        "bundling": options.bundling(given),
        "sensitivity": given["sensitivity"],
        "max_bad": parse_max_bad(given["max_bad"]),
        "limits": options.gate_limits(given["gates"]),
        "strict": given["strict"],
        "seed": given["seed"],
        "threads": given["threads"],
        "resume": given["resume"],
    }


def crop_fraction(given: float | None, *, is_photos: bool) -> float:
    """The crop that was asked for, or what suits the data."""
    from mbexport.pipeline import plan as plans

    if given is not None:
        return given
    return plans.PHOTO_CROP if is_photos else plans.DIGITS_CROP


def _observer(name: str | None, *, ranges: Path | None) -> Any:
    from mbexport.calibration.choices import parse_observer
    from mbexport.pipeline import plan as plans

    if name is None:
        return plans.OBSERVER
    if ranges is not None:
        raise OptionError(f"give --observer or --ranges, not both, got --observer {name}")
    return parse_observer(name)


def _distillation(epochs: int | None, steps: int | None, *, default_epochs: int) -> dict[str, Any]:
    if epochs is not None and steps is not None:
        raise OptionError(f"give --qat-epochs or --qat-steps, not both, got --qat-epochs {epochs} --qat-steps {steps}")
    return {"qat_epochs": default_epochs if epochs is None else epochs, "qat_steps": steps}


def _batch(text: str) -> int | None:
    """The images of one inference, None for a number that is not fixed."""
    if text == "dynamic":
        return None
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"batch must be a whole number or dynamic, got {text}") from None


def _precisions(names: Sequence[str], *, int8: bool) -> tuple[Any, ...]:
    wanted = set(names) or {"fp32"}
    if int8:
        wanted |= {"fp32", "int8"}
    return tuple(precision for precision in Precision if precision.value in wanted)


def weights_file(text: str, spec: "ModelSpec", stderr: TextIO | None) -> Path:
    """The file that --weights names: `imagenet` is found in Keras' cache, or fetched, with a bar on a terminal.

    Without `stderr` it is only checked that there is such a file, or can be.
    """
    from mbexport.models.mobilenet_v1 import pretrained

    if text != pretrained.IMAGENET:
        if not Path(text).is_file():
            raise DataError(f"weights must be imagenet or a file, got {text}")
        return Path(text)
    if stderr is None:
        return Path(pretrained.imagenet_file(spec))
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    with redirect_stdout(stderr) if stderr.isatty() else nullcontext():
        return pretrained.imagenet_weights(spec, home)


def run_and_show(task: Task) -> int:
    """Runs the plan of `task`, prints its report, and gives the exit code."""
    from mbexport.commands.console import ConsoleProgress
    from mbexport.pipeline.build import run
    from mbexport.quiet import quiet_libraries

    require_writable(task.summary)
    sign = options.signer(task.signing_key)
    recipe = recipe_of(click.get_current_context())
    with quiet_libraries() as streams:
        plan = replace(task.plan_of(streams.err), recipe=recipe)
        progress = ConsoleProgress(streams.err)
        try:
            outcome = run(plan, task.data, progress, class_names=task.class_names, sign=sign)
        finally:
            progress.close()
        if not plan.is_bundled:
            streams.err.write("no bundles for apps: they need a .tflite that takes one image at a time\n")
        return show(outcome.report, streams, out=outcome.out, summary=task.summary)
