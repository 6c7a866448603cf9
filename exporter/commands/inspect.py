"""Turns an artifact into what can be said of it: tensors, quantization, kernels."""

import json
from pathlib import Path
from typing import Any, TextIO

import click

from mbexport.commands import options

_EXAMPLES = """\b
Examples:
  mbexport inspect dist/mobilenet_v1_0.75_64/mobilenet_v1_0.75_64_int8.tflite
  mbexport inspect dist/mobilenet_v1_0.75_64/mobilenet_v1_0.75_64_int8.tflite --sensitivity
"""


@click.command("inspect", epilog=_EXAMPLES)
@click.argument("file", type=options.PATH)
@options.option("--sensitivity", is_flag=True, help="What each layer costs (int8), from the report.json beside FILE.")
@options.as_json
def command(file: Path, sensitivity: bool, as_json: bool) -> None:
    """Tensors, quantization and the kernels that really run.

    Kernels are counted in what the runtime executes: onnxruntime's graph after its own optimization, LiteRT's
    list of ops.
    """
    from mbexport.quiet import quiet_libraries

    with quiet_libraries() as streams:
        if sensitivity:
            _print_sensitivity(file, streams.out, as_json=as_json)
            return
        facts = _facts(file)
        text = json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts))
        streams.out.write(text + "\n")


def _print_sensitivity(file: Path, stream: TextIO, *, as_json: bool) -> None:
    from mbexport.reported import sensitivity_of
    from mbexport.summary import print_sensitivity

    print_sensitivity(sensitivity_of(file), stream, as_json=as_json)


def _facts(file: Path) -> dict[str, Any]:
    from mbexport.kernels import kernels_of
    from mbexport.measure import read_artifact
    from mbexport.runtime import open_runner

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
        "kernels": {
            "int8_convs": kernels.int8_convs,
            "float_convs": kernels.float_convs,
            "ops": dict(kernels.ops),
        },
    }


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
    total = kernels["int8_convs"] + kernels["float_convs"]
    lines.append(f"kernels  {kernels['int8_convs']} of {total} convolutions in integers ({facts['runtime']})")
    return [*lines, *(f"           {count:3} x {name}" for name, count in kernels["ops"].items())]
