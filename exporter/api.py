"""The commands as Python functions, with the options and values of the command line.

An option `--calibration-samples 200` is the keyword `calibration_samples=200`; what may be repeated takes a list
(`precision=["fp16", "int8"]`), a flag takes True or False, `--no-resume` is `resume=False`, and `gate` takes a mapping
of limits by gate. --dry-run, --status, --shards and --config are the command line's alone. No option comes from the
environment or a file.
Errors are those of `mbexport.errors`, raised.

    import mbexport

    result = mbexport.build(alpha=0.25, resolution=32, int8=True, out="dist/digits")
    print(result.passed, result.files["mobilenet_v1_0.25_32_int8.tflite"])
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mbexport.errors import OptionError, did_you_mean
from mbexport.progress import Progress, Silent

if TYPE_CHECKING:
    from mbexport.commands.build_and_export import Task

StrPath = str | os.PathLike[str]
# What starts further processes of the command, or speaks to whoever started it.
_OF_COMMAND_LINE: Final = frozenset({"dry_run", "status", "shards", "jobs", "address", "part", "parts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a function made and found.

    `report` is the content of report.json (see `exporter/report/report.schema.json`), `passed` its verdict, `out` the
    output folder, if there is one, and `files` every file that lies in it, by its path from there.
    """

    report: Mapping[str, Any]
    out: Path | None

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return bool(self.report["passed"])

    @property
    def files(self) -> dict[str, Path]:
        """The delivered files by their paths from the output folder."""
        if self.out is None:
            return {}
        found = (path for path in self.out.rglob("*") if path.is_file())
        names = {path.relative_to(self.out).as_posix(): path for path in found}
        return {name: path for name, path in sorted(names.items()) if not name.startswith(".mbexport/")}


def build(*, progress: Progress | None = None, **options: Any) -> Result:
    """Train, quantize, export and verify a MobileNet: `mbexport build`.

    `options` are the command's (`alpha`, `resolution`, `data`, `weights`, `int8`, `out` ...); `progress` is told of
    each stage. Raises `InputError` for an option or data that cannot be used, before any work, and `StageError` for a
    failure later. A gate that fails raises nothing: see `Result.passed`.
    """
    from mbexport.commands import build as command

    return _run(command, options, progress)


def export(*, progress: Progress | None = None, **options: Any) -> Result:
    """Quantize, export and verify a network that is already trained: `mbexport export`.

    `options` are the command's (`model`, or `weights` with `alpha`; `calibration`, `data`, `int8`, `out` ...). Raises
    as `build` does.
    """
    from mbexport.commands import export as command

    return _run(command, options, progress)


def verify(files: Sequence[StrPath], *, progress: Progress | None = None, **options: Any) -> Result:
    """Compare Keras, .tflite and .onnx files on labelled images, or on images with boxes: `mbexport verify`.

    `options` are the command's (`data`, `reference`, `preprocess`, `gate`, `out` ...). Raises `InputError` for a file
    or an image that cannot be used, before anything is measured.
    """
    from mbexport.commands import verify as command
    from mbexport.pipeline.verify_detectors import verify_detectors
    from mbexport.pipeline.verify_files import verify_files

    context = _context(command.command, options, arguments=[os.fspath(file) for file in files])
    given = context.params
    verify_options, data = command.verify_options_of(given), command.data_of(given)
    shown = progress or Silent()
    verified = verify_files if data.objects is None else verify_detectors
    report = verified(verify_options, data, out=given["out"], progress=shown, force=given["force"])
    return Result(report=report, out=given["out"])


def predict(file: StrPath, images: Sequence[StrPath], **options: Any) -> Mapping[str, Any]:
    """Classify images, or find the objects in them, with one artifact: `mbexport predict --json`.

    Gives what that command prints: `images` holds for each image its `top` classes, each with `class` (its index),
    `label` and `score` in 0..1, the likeliest first. A detector's have `objects` instead, each with a `box` (ymin,
    xmin, ymax, xmax as fractions of the image) and the same in pixels, `box_px`. `options` are the command's (`top`,
    `classes`, `preprocess`, `crop_fraction` ...). Raises `InputError` for a file or an image that cannot be used.
    """
    from mbexport.commands import predict as command
    from mbexport.pipeline.predict_files import predict_files

    arguments = [os.fspath(each) for each in (file, *images)]
    return predict_files(command.question_of(_context(command.command, options, arguments=arguments).params))


def _run(command: Any, options: Mapping[str, Any], progress: Progress | None) -> Result:
    """The run that these options of `build` or `export` ask for."""
    from mbexport.commands.recipe import recipe_of, with_recipe
    from mbexport.pipeline.build import run

    context = _context(command.command, options)
    task: Task = command.task(context.params)
    plan = with_recipe(task.plan_of(sys.stderr), recipe_of(context))
    outcome = run(plan, task.data, progress or Silent(), class_names=task.class_names, sign=task.sign)
    return Result(report=outcome.report, out=outcome.out)


def _context(command: click.Command, options: Mapping[str, Any], *, arguments: Sequence[str] = ()) -> click.Context:
    """`command` with these options and nothing else: no environment, no file.

    Raises `OptionError` for an option that the command does not have, or a value that it does not take.
    """
    from mbexport.commands.options import Option

    known = {each.long_name.replace("-", "_"): each for each in command.params if isinstance(each, Option)}
    values = {}
    for keyword, value in options.items():
        if keyword in _OF_COMMAND_LINE and value:
            raise OptionError(f"{keyword} is an option of the command line alone")
        if keyword not in known:
            question = did_you_mean(keyword, known)
            raise OptionError(f"{command.name} has no option {keyword}" + (f"; {question}" if question else ""))
        if value is not None:
            values[str(known[keyword].name)] = _as_typed(known[keyword], keyword, value)
    try:
        return command.make_context(str(command.name), list(arguments), default_map=values)
    except click.UsageError as error:
        raise OptionError(error.format_message()) from None


def _as_typed(option: click.Option, keyword: str, value: Any) -> Any:
    """The value as a configuration file would hold it."""
    if isinstance(value, Mapping):
        return [f"{name}={limit}" for name, limit in value.items()]
    if option.multiple:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise OptionError(f"{keyword} must be a list, got {value!r}")
        return [os.fspath(each) if isinstance(each, os.PathLike) else each for each in value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        raise OptionError(f"{keyword} must be one value, got {value!r}")
    return os.fspath(value) if isinstance(value, os.PathLike) else value
