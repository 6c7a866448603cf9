"""`mbexport rebuild`: make the files that a manifest lists again, from nothing, and compare every byte."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from mbexport.bundles.registry import without_effect
from mbexport.commands import options
from mbexport.commands.build_and_export import Task
from mbexport.commands.options import Group
from mbexport.commands.recipe import context_of, recipe_of, with_earlier_defaults, with_recipe
from mbexport.commands.temporary import temporary_files_in, temporary_folder
from mbexport.errors import EXIT_DONE, EXIT_GATE_FAILED, MAX_THREADS, DataError, OptionError
from mbexport.escaping.terminal import json_text, visible

if TYPE_CHECKING:
    from mbexport.provenance.compare import FileComparison
    from mbexport.provenance.manifest import Manifest

_EXAMPLES = """\b
Examples:
  mbexport rebuild --check dist/mobilenet_v1_0.75_64/manifest.json
  mbexport rebuild --check manifest.json --data photos/ --keep rebuilt/
"""
_TRUST: Final = "trust"
_MAKERS: Final = ("build", "export")


@options.command("rebuild", epilog=_EXAMPLES)
@click.argument("manifest_file", metavar="MANIFEST", type=options.PATH)
@options.option(
    "--check",
    group=Group.COMMON,
    is_flag=True,
    help="Compare the rebuilt files with those that MANIFEST lists.",
)
@options.option(
    "--keep",
    group=Group.COMMON,
    type=options.PATH,
    metavar="DIR",
    help="Keep the rebuilt files in this folder; without it they are removed.",
)
@options.option("--data", group=Group.DATA, metavar=options.DATA, help="Labelled images, if they have moved.")
@options.option("--calibration", group=Group.DATA, metavar="DIR", help="Calibration images, if they have moved.")
@options.option("--golden", group=Group.DATA, metavar="DIR", help="Images of the golden vectors, if they have moved.")
@options.option("--classes", group=Group.DATA, metavar="FILE", help="The file of classes, if it has moved.")
@options.option("--weights", group=Group.DATA, metavar="imagenet|FILE", help="The weights, if they have moved.")
@options.option("--model", group=Group.DATA, metavar="FILE|DIR", help="The Keras model, if it has moved.")
@options.option("--ranges", group=Group.DATA, metavar="FILE", help="The file of ranges, if it has moved.")
@options.option(
    "--trust", group=Group.RUN, is_flag=True, help="Run the code in --model, as the first run did with --trust."
)
@options.force
@options.as_json
def command(
    *, manifest_file: Path, check: bool, keep: Path | None, trust: bool, force: bool, as_json: bool, **moved: str | None
) -> int:
    """Make the files that MANIFEST (a manifest.json) lists again, from nothing.

    Inputs are read from the paths in the manifest, which start from the current folder, unless an option gives
    another; their content must be unchanged. Training is repeated. Nothing is measured and no gate is judged: what
    counts is that every byte is the same.

    Exit codes: 0 every byte is the same, 1 a byte differs, 2 bad input, 3 a stage failed.
    """
    from mbexport.provenance.compare import compare_files, tool_differences
    from mbexport.provenance.read_manifest import read_manifest
    from mbexport.quiet import quiet_libraries
    from mbexport.report.terminal import print_check

    _require_consistent(manifest_file, check=check, keep=keep, as_json=as_json)
    options.require_place(force=force, place=keep, option="keep")
    manifest = read_manifest(manifest_file)
    context = _context(manifest, manifest_file, moved=moved, trust=trust)
    folder: AbstractContextManager[Path] = temporary_folder() if keep is None else nullcontext(keep)
    with quiet_libraries() as streams, folder as out, _cores_of(manifest):
        _make(manifest, context, out, streams.err, force=force)
        if not check:
            streams.out.write(visible(f"files: {out}/") + "\n")
            return EXIT_DONE
        compared = compare_files(manifest, rebuilt=out, delivered=manifest_file.parent)
        tools = tool_differences(manifest)
        is_same = _is_same(compared)
        if as_json:
            streams.out.write(_json(compared, tools) + "\n")
        else:
            verdict = "SAME: every byte" if is_same else "DIFFERENT"
            print_check(_lines(compared, tools), verdict, is_good=is_same, stream=streams.out)
    return EXIT_DONE if is_same else EXIT_GATE_FAILED


def _require_consistent(file: Path, *, check: bool, keep: Path | None, as_json: bool) -> None:
    """Raises `OptionError` for options that ask for nothing, or that would overwrite the files to compare with."""
    if not check and keep is None:
        raise OptionError("give --check, --keep DIR or both, got neither")
    if as_json and not check:
        raise OptionError("--json prints a comparison: give --check, got --keep alone")
    if keep is not None and keep.resolve() == file.parent.resolve():
        raise OptionError(f"--keep must be another folder than the manifest's, got {keep}")


@contextmanager
def _cores_of(manifest: "Manifest") -> Iterator[None]:
    """Lets TensorFlow use as many threads as on the machine of the manifest: they decide in which order sums are added.

    TensorFlow reads the number from the environment when it starts. A number that the user set there stays.
    """
    from mbexport.fingerprint import THREADS_VARIABLE
    from mbexport.provenance.manifest import CORES

    cores = manifest.tool.environment.get(CORES, "")
    if THREADS_VARIABLE in os.environ or not (cores.isascii() and cores.isdigit() and 0 < int(cores) <= MAX_THREADS):
        yield
        return
    os.environ[THREADS_VARIABLE] = cores
    try:
        yield
    finally:
        del os.environ[THREADS_VARIABLE]


def _context(manifest: "Manifest", file: Path, *, moved: Mapping[str, str | None], trust: bool) -> click.Context:
    """The command that the manifest records, with its options; inputs that have `moved` are read from there."""
    recipe = manifest.recipe
    if recipe.command not in _MAKERS:
        raise DataError(f"{file} must record a run of {' or '.join(_MAKERS)}, got {recipe.command}")
    places = {name: place for name, place in moved.items() if place is not None}
    unused = sorted(set(places) - set(manifest.inputs))
    if unused:
        raise OptionError(f"{file} records no --{unused[0]}; drop the option")
    if recipe.options.get(_TRUST) and not trust:
        raise OptionError(f"{file} records --trust: its model holds code, which was run; give --trust to run it again")
    ignored = dict.fromkeys(without_effect(manifest.files))
    asked = {**with_earlier_defaults(recipe), **ignored, **places}
    return context_of(_maker(recipe.command).command, asked, source=file)


def _make(manifest: "Manifest", context: click.Context, out: Path, stderr: TextIO, *, force: bool) -> None:
    """Makes the files into `out`. Raises `DataError`, before that, if an input is not what the manifest lists."""
    from mbexport.commands.console import ConsoleProgress
    from mbexport.commands.export import stem_of
    from mbexport.pipeline.build import run
    from mbexport.pipeline.deliver import inputs_of
    from mbexport.pipeline.image_sets import ImageSets
    from mbexport.pipeline.plan import Foreign
    from mbexport.provenance.compare import require_inputs
    from mbexport.workdir import temporary_place

    recipe = recipe_of(context)
    try:
        task: Task = _maker(recipe.command).task(context.params)
        plan = replace(
            with_recipe(task.plan_of(stderr), recipe), out=out, resume=False, cache=None, is_judged=False, force=force
        )
    except DataError as error:  # the names in the manifest may start from another folder
        places = ", ".join(f"--{name} {each.name}" for name, each in manifest.inputs.items())
        raise DataError(f"{error} (the manifest has {places}; give an option for what has moved)") from None
    if isinstance(plan.origin, Foreign):  # its file may have another name by now; its artifacts keep theirs
        plan = replace(plan, name=stem_of(Path(manifest.recipe.options["model"])))
    require_inputs(manifest, inputs_of(recipe, plan.origin, ImageSets(plan, task.data).contents()))
    progress = ConsoleProgress(stderr)
    try:
        with temporary_files_in(temporary_place(out)):
            run(plan, task.data, progress, class_names=task.class_names)
    finally:
        progress.close()


def _maker(name: str) -> Any:
    from mbexport.commands import build, export

    return {"build": build, "export": export}[name]


def _is_same(compared: Sequence["FileComparison"]) -> bool:
    return all(each.status == "same" for each in compared)


def _lines(compared: Sequence["FileComparison"], tools: Mapping[str, tuple[str, str]]) -> list[str]:
    lines = [f"{each.status:<9} {each.name}{_detail(each)}" for each in compared]
    for name, (then, now) in tools.items():
        lines.append(f"{name} is {now} here and was {then} where the manifest was written")
    return lines


def _detail(each: "FileComparison") -> str:
    if each.status == "same":
        return ""
    words = f": sha256 must be {each.listed or 'absent'}, got {each.found or 'no file'}"
    return words if each.first_difference is None else f"{words}, first at byte {each.first_difference}"


def _json(compared: Sequence["FileComparison"], tools: Mapping[str, tuple[str, str]]) -> str:
    return json_text(
        {
            "schema": 1,
            "same": _is_same(compared),
            "files": [
                {
                    "file": each.name,
                    "status": each.status.value,
                    "listed_sha256": each.listed,
                    "sha256": each.found,
                    "first_difference": each.first_difference,
                }
                for each in compared
            ],
            "tools": {name: {"manifest": then, "here": now} for name, (then, now) in tools.items()},
        }
    )
