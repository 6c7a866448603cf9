"""`mbexport inspect`: tensors, quantization and kernels of an artifact."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from mbexport.artifact import Precision
from mbexport.commands import options
from mbexport.commands.inspect_package import package_facts, package_lines, require_plain
from mbexport.commands.inspect_targets import target_facts, target_lines
from mbexport.commands.options import Group
from mbexport.documents import Form, read_json_file
from mbexport.errors import DataError, OptionError
from mbexport.escaping.terminal import LONGEST_CELL, json_text, visible, visible_lines
from mbexport.files import sha256_of
from mbexport.formats.chosen_paths import require_paths_fit, usable_paths
from mbexport.formats.coreml.rows import is_package
from mbexport.formats.delegates.fitness import delegates_of, require_delegates
from mbexport.formats.mcu.targets import usable_targets
from mbexport.formats.trial import require_harmless, warm_up
from mbexport.models.task import Task
from mbexport.report.delegates import delegate_lines
from mbexport.report.formatting import taken

if TYPE_CHECKING:
    from mbexport.report.content import Json


def sensitivity_of(file: Path) -> "Json":
    """What rounding each layer of the int8 artifact `file` costs: the part `sensitivity` of the report beside it.

    Raises `DataError` without a report, for one that does not list the file, and for one without sensitivities.
    """
    from mbexport.report.content import REPORT  # it loads numpy

    if not file.is_file():
        raise DataError(f"no such file: {file}")
    path = file.parent / REPORT
    if not path.exists():
        raise DataError(f"--sensitivity reads the report of the run that made the file: there is no {path}")
    report = read_json_file(path, Form(title="a report of mbexport", schema=_sensitivity_schema))
    digest = sha256_of(file)
    entry = next((entry for entry in report["artifacts"] if entry["sha256"] == digest), None)
    if entry is None:
        raise DataError(f"{path} does not belong to {file}: it lists no artifact with this sha256")
    if entry["precision"] != Precision.INT8.value:
        raise DataError(f"--sensitivity takes only an int8 artifact, got {file}, which is {entry['precision']}")
    if not report.get("sensitivity"):
        raise DataError(f"{path} holds no sensitivities: run build or export again without --no-sensitivity")
    task = {"task": report["task"]} if "task" in report else {}  # which reports on classifiers do not have
    return {"file": file.name, "sha256": digest, **task, **report["sensitivity"]}


def _sensitivity_schema() -> dict[str, Any]:
    """What is read of a report; the rest may be that of another version."""
    from mbexport.report.schema import report_schema

    text = {"type": "string"}
    entry = {"type": "object", "required": ["sha256", "precision"], "properties": {"sha256": text, "precision": text}}
    return {
        "type": "object",
        "required": ["artifacts"],
        "properties": {
            "task": {"enum": [task.value for task in Task]},
            "artifacts": {"type": "array", "items": entry},
            "sensitivity": {"anyOf": [{"$ref": "#/$defs/sensitivity"}, {"type": "null"}]},
        },
        "$defs": report_schema()["$defs"],
    }


_EXAMPLES = """\b
Examples:
  mbexport inspect dist/mobilenet_v1_0.75_64/*_int8.tflite
  mbexport inspect dist/mobilenet_v1_0.75_64/*_int8.onnx --kernels
  mbexport inspect a_int8.onnx --kernels --path qnn-htp:v75
  mbexport inspect dist/mobilenet_v1_0.75_64/*_int8.tflite --delegates
  mbexport inspect dist/mobilenet_v1_0.75_64/*_int8.tflite --sensitivity
  mbexport inspect a_int8.tflite --target ethos-u55-256
  mbexport inspect dist/mobilenet_v1_0.75_64/coreml/*_w8.mlpackage
"""


@options.command("inspect", epilog=_EXAMPLES)
@click.argument("file", type=options.PATH)
@options.option(
    "--kernels",
    group=Group.COMMON,
    is_flag=True,
    help="Show each op instead: how often it runs, in integers or floats, executed by what, on which types.",
)
@options.option(
    "--sensitivity",
    group=Group.COMMON,
    is_flag=True,
    help="Show what rounding each layer costs instead (int8), from the report.json beside FILE.",
)
@options.option(
    "--delegates",
    group=Group.COMMON,
    is_flag=True,
    help="Show instead which ops delegates of phones and boards take, and which not and why: measured where they run "
    "here, by their makers' published lists elsewhere.",
)
@options.option(
    "--path",
    "paths",
    group=Group.COMMON,
    multiple=True,
    metavar="NAME",
    help="With --kernels: show the part of the graph that this kernel path takes, too, and which ops it leaves to "
    "others; may be repeated. `mbexport doctor` lists the paths.",
)
@options.option(
    "--target",
    "targets",
    group=Group.COMMON,
    multiple=True,
    metavar="NAME",
    help="Show what a microcontroller needs instead: for ethos-u55-256 and its like (int8) which ops the NPU takes, "
    "memory and time as Arm's compiler estimates them; for tflite-micro the arena. May be repeated.",
)
@options.as_json
def command(
    file: Path,
    *,
    kernels: bool,
    sensitivity: bool,
    delegates: bool,
    paths: tuple[str, ...],
    targets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the tensors, the quantization and the kernels of an artifact.

    Kernels are those that the runtime executes: onnxruntime's graph after its own optimization; LiteRT's ops, with
    those that its delegate took. Of a Core ML package, which nothing runs here, its program is shown.
    """
    _require_one_table(kernels=kernels, sensitivity=sensitivity, delegates=delegates, target=bool(targets))
    if paths and not kernels:
        raise OptionError("--path goes with --kernels, got it alone")
    if is_package(file):
        require_plain(file, kernels=kernels, sensitivity=sensitivity, delegates=delegates, target=targets)
        found = package_facts(file)
        click.echo(json_text(found) if as_json else visible_lines(package_lines(found)))
        return
    paths, rows = usable_paths(paths), usable_targets(targets, file)
    if not sensitivity:
        warm_up([file])
        require_paths_fit(paths, [file])
    if delegates:
        require_delegates(file)
    from mbexport.formats.registry import open_runner
    from mbexport.quiet import quiet_libraries

    with quiet_libraries() as streams:
        if sensitivity:
            _print_sensitivity(file, streams.out, as_json=as_json)
            return
        require_harmless([file])
        if rows:
            facts, lines = target_facts(file, rows), target_lines
        elif delegates:
            facts, lines = delegates_of(file), delegate_lines
        elif kernels:
            facts, lines = _kernel_facts(open_runner(file), paths), _table
        else:
            facts, lines = _facts(file), _lines
        text = json_text(facts) if as_json else visible_lines(lines(facts))
        streams.out.write(text + "\n")


def _require_one_table(**tables: bool) -> None:
    """Raises `OptionError` for more than one of the tables."""
    names = [f"--{name}" for name, is_given in tables.items() if is_given]
    if len(names) > 1:
        raise OptionError(f"{' and '.join(names)} are tables of their own; give one, got {len(names)}")


def _print_sensitivity(file: Path, stream: TextIO, *, as_json: bool) -> None:
    from mbexport.report.terminal import print_sensitivity

    print_sensitivity(sensitivity_of(file), stream, as_json=as_json)


def _facts(file: Path) -> dict[str, Any]:
    from mbexport.formats.contents import read_artifact
    from mbexport.formats.kernels import kernels_json
    from mbexport.formats.registry import kernels_of, open_runner

    runner = open_runner(file)
    artifact, kernels = read_artifact(runner), kernels_of(runner)
    return {
        "file": file.name,
        "format": artifact.format,
        "precision": artifact.precision.value,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "runtime": runner.runtime,
        "inputs": [_tensor(runner.input)],
        "outputs": [_tensor(output) for output in runner.outputs],
        "metadata": _metadata(runner),
        "kernels": {**kernels_json(kernels), "ops": dict(kernels.ops)},
    }


def _metadata(runner: Any) -> dict[str, str]:
    try:
        return dict(runner.metadata())
    except DataError as error:
        raise DataError(f"{runner.path}: {error}") from None


def _kernel_facts(runner: Any, paths: Sequence[str]) -> dict[str, Any]:
    from mbexport.formats.kernels import kernels_json
    from mbexport.formats.registry import kernels_of

    kernels = kernels_of(runner)
    rows = [
        {
            "op": row.op,
            "count": row.count,
            "arithmetic": row.arithmetic.value,
            "executor": row.executor,
            "inputs": list(row.inputs),
        }
        for row in kernels.rows
    ]
    facts = {"file": runner.name, "runtime": runner.runtime, "kernels": kernels_json(kernels), "rows": rows}
    return facts | ({"shares": [_share(runner.path, name) for name in paths]} if paths else {})


def _share(file: Path, name: str) -> dict[str, Any]:
    """The part of the graph that a path takes. Raises `DataError` for one that does not take the file."""
    from mbexport.formats.kernel_path import share_json
    from mbexport.formats.path_runner import PathProcess

    with closing(PathProcess(file, name)) as process:
        return share_json(name, process.share)


def _tensor(spec: Any) -> dict[str, Any]:
    quantization = None
    if spec.affine is not None:
        quantization = {"scale": spec.affine.scale[0], "zero_point": spec.affine.zero_point[0]}
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype, "quantization": quantization}


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{facts['file']}: {facts['precision']} {facts['format']}, {facts['size_bytes']:,} bytes",
        f"sha256   {facts['sha256']}",
    ]
    for role in ("inputs", "outputs"):
        for tensor in facts[role]:
            q = tensor["quantization"]
            codes = f", real = {q['scale']:.9g} * (code - {q['zero_point']})" if q else ""
            lines.append(f"{role[:-1]:<8} {tensor['name']} {tensor['dtype']} {tensor['shape']}{codes}")
    if facts["metadata"]:
        lines += ["metadata", *(f"  {name} = {value}" for name, value in facts["metadata"].items())]
    kernels = facts["kernels"]
    lines.append(f"kernels  {_kernels_in_brief(kernels, facts['runtime'])}")
    return [*lines, *(f"  {count:3} x {name}" for name, count in kernels["ops"].items())]


def _table(facts: dict[str, Any]) -> list[str]:
    """One line an op, the columns aligned, and what they come to."""
    names = ("op", "count", "arithmetic", "executor", "inputs")
    cells = [
        names,
        *(
            (*(visible(str(row[name]), LONGEST_CELL) for name in names[:-1]), visible(" ".join(row["inputs"])))
            for row in facts["rows"]
        ),
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    kernels = facts["kernels"]
    if not facts["rows"]:
        return [f"{facts['file']}: kernels {_kernels_in_brief(kernels, facts['runtime'])}"]
    total = kernels["delegated_ops"] + kernels["other_ops"]
    delegated = f"{kernels['delegated_ops']} of {total} ops in {kernels['partitions']} partition(s) of a delegate"
    whole = f"{_integer_convolutions(kernels)}; {delegated}"
    return [f"{facts['file']} in {facts['runtime']}", *lines, whole, *map(taken, facts.get("shares", ()))]


def _kernels_in_brief(kernels: dict[str, Any], runtime: str) -> str:
    """How many convolutions run in integers, where the runtime tells its kernels: TensorFlow does not."""
    if not kernels["delegated_ops"] + kernels["other_ops"]:
        return f"not known: {runtime} does not say which ones it runs a Keras file with"
    return f"{_integer_convolutions(kernels)} ({runtime})"


def _integer_convolutions(kernels: dict[str, Any]) -> str:
    hybrid = f", {kernels['hybrid_convs']} hybrid" if kernels["hybrid_convs"] else ""
    total = kernels["int8_convs"] + kernels["float_convs"]
    return f"{kernels['int8_convs']} of {total} convolutions in integers{hybrid}"
