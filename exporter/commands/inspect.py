"""Turns an artifact into what can be said of it: tensors, quantization, kernels."""

import json
from pathlib import Path
from typing import Any, TextIO

import click

from mbexport.commands import options
from mbexport.errors import OptionError

_EXAMPLES = """\b
Examples:
  mbexport inspect dist/mobilenet_v1_0.75_64/mobilenet_v1_0.75_64_int8.tflite
  mbexport inspect dist/mobilenet_v1_0.75_64/mobilenet_v1_0.75_64_int8.tflite --kernels
  mbexport inspect dist/mobilenet_v1_0.75_64/mobilenet_v1_0.75_64_int8.tflite --sensitivity
"""


@click.command("inspect", epilog=_EXAMPLES)
@click.argument("file", type=options.PATH)
@options.option("--kernels", is_flag=True, help="Each op: how often, integer or float, who executes it, input types.")
@options.option("--sensitivity", is_flag=True, help="What each layer costs (int8), from the report.json beside FILE.")
@options.as_json
def command(file: Path, kernels: bool, sensitivity: bool, as_json: bool) -> None:
    """Tensors, quantization and the kernels that really run.

    Kernels are counted in what the runtime executes: onnxruntime's graph after its own optimization, LiteRT's
    list of ops and those among them that its delegate took.
    """
    if kernels and sensitivity:
        raise OptionError("--kernels and --sensitivity are two tables: ask for one, got both")
    from mbexport.quiet import quiet_libraries
    from mbexport.runtimes.opening import open_runner

    with quiet_libraries() as streams:
        if sensitivity:
            _print_sensitivity(file, streams.out, as_json=as_json)
            return
        facts = _kernel_facts(open_runner(file)) if kernels else _facts(file)
        lines = _table if kernels else _lines
        text = json.dumps(facts, indent=2) if as_json else "\n".join(lines(facts))
        streams.out.write(text + "\n")


def _print_sensitivity(file: Path, stream: TextIO, *, as_json: bool) -> None:
    from mbexport.reported import sensitivity_of
    from mbexport.reporting.tables import print_sensitivity

    print_sensitivity(sensitivity_of(file), stream, as_json=as_json)


def _facts(file: Path) -> dict[str, Any]:
    from mbexport.runtimes.contents import read_artifact
    from mbexport.runtimes.kernels import kernels_json, kernels_of
    from mbexport.runtimes.opening import open_runner

    runner = open_runner(file)
    artifact, kernels = read_artifact(runner), kernels_of(runner)
    return {
        "file": file.name,
        "format": artifact.format.value,
        "precision": artifact.precision.value,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "runtime": runner.runtime,
        "inputs": [_tensor(runner.input)],
        "outputs": [_tensor(runner.output)],
        "metadata": runner.metadata(),
        "kernels": {**kernels_json(kernels), "ops": dict(kernels.ops)},
    }


def _kernel_facts(runner: Any) -> dict[str, Any]:
    from mbexport.runtimes.kernels import kernels_json, kernels_of

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
    return {"file": runner.name, "runtime": runner.runtime, "kernels": kernels_json(kernels), "rows": rows}


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
    lines += [f"metadata {name} = {value}" for name, value in facts["metadata"].items()]
    kernels = facts["kernels"]
    lines.append(f"kernels  {_integer_convolutions(kernels)} ({facts['runtime']})")
    return [*lines, *(f"           {count:3} x {name}" for name, count in kernels["ops"].items())]


def _table(facts: dict[str, Any]) -> list[str]:
    """One line an op, the columns aligned, and what they come to."""
    names = ("op", "count", "arithmetic", "executor", "inputs")
    cells = [names, *((*(str(row[name]) for name in names[:-1]), " ".join(row["inputs"])) for row in facts["rows"])]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    kernels = facts["kernels"]
    total = kernels["delegated_ops"] + kernels["other_ops"]
    delegated = f"{kernels['delegated_ops']} of {total} ops in {kernels['partitions']} partition(s) of a delegate"
    return [f"{facts['file']} in {facts['runtime']}", *lines, f"{_integer_convolutions(kernels)}; {delegated}"]


def _integer_convolutions(kernels: dict[str, Any]) -> str:
    hybrid = f", {kernels['hybrid_convs']} hybrid" if kernels["hybrid_convs"] else ""
    total = kernels["int8_convs"] + kernels["float_convs"]
    return f"{kernels['int8_convs']} of {total} convolutions in integers{hybrid}"
