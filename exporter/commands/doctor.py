"""`mbexport doctor`: what is installed, and what would fail."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import click

from mbexport import __version__
from mbexport.commands import options
from mbexport.errors import EXIT_DONE, EXIT_STAGE_FAILED
from mbexport.escaping.terminal import visible
from mbexport.formats.chosen_paths import every_path
from mbexport.formats.coreml.rows import COREMLTOOLS
from mbexport.formats.mcu.targets import VELA
from mbexport.formats.npu.chips import VENDORS

_EXAMPLES = """\b
Example:
  mbexport doctor
"""
_FREE_BYTES = 1 << 30
_IMPORTS = (
    "tensorflow",
    "tf_keras",
    "tensorflow_model_optimization",
    "tf2onnx",
    "onnxruntime",
    "ai_edge_litert",
)


@options.command("doctor", epilog=_EXAMPLES)
def command() -> int:
    """Show what is installed, and what would fail.

    Kernel paths, NPUs, microcontrollers and Core ML need more than a build does, and are listed, too: see `verify
    --path`, `build --npu`, `inspect --target` and `build --precision`.

    Exit codes: 0 a build can run, 3 something that it needs is missing or does not load.
    """
    healthy = True
    for name, found, problem in _checks():
        line = f"{'ok  ' if problem is None else 'FAIL'}  {name:<34} {found}" + (f"  {problem}" if problem else "")
        click.echo(visible(line))
        healthy = healthy and problem is None
    for name, lack, able in _extras():
        click.echo(visible(f"{'ok' if lack is None else '--':<4}  {name:<34} {lack or able}"))
    click.echo("everything that a build needs is here" if healthy else "a build would fail: see the lines above")
    return EXIT_DONE if healthy else EXIT_STAGE_FAILED


def _checks() -> Iterator[tuple[str, str, str | None]]:
    """Name, what was found, and what is wrong with it, if anything."""
    yield "mbexport", __version__, None
    yield _python()
    yield from _requirements()
    for module in _IMPORTS:
        yield _import(module)
    yield _space()


def _python() -> tuple[str, str, str | None]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    legal = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return "python", found, None if legal else "must be 3.11, 3.12 or 3.13"


def _requirements() -> Iterator[tuple[str, str, str | None]]:
    from packaging.requirements import Requirement

    for line in importlib.metadata.requires("mbexport") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield requirement.name, "not installed", f"must be {requirement.specifier}"
            continue
        legal = requirement.specifier.contains(found, prereleases=True)
        yield requirement.name, found, None if legal else f"must be {requirement.specifier}"


def _import(module: str) -> tuple[str, str, str | None]:
    """Whether a module loads, tried in a process of its own: a broken native library may end the process."""
    result = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return f"import {module}", "loads", None
    lines = result.stderr.strip().splitlines() or [f"ended with code {result.returncode}"]
    return f"import {module}", "does not load:", lines[-1]


def _extras() -> Iterator[tuple[str, str | None, str]]:
    """What only options need, as `verify --path` and `build --npu` do: what it lacks, and what it can else."""
    for each, row in every_path():
        if not row.is_usual:
            yield f"path {row.name} (.{each.name})", row.lack(), "can be used"
    for vendor in VENDORS:
        yield f"npu {vendor.name}", vendor.unavailable or vendor.lack(), "can be compiled for"
    yield "target ethos-u*", VELA.lack(), "can be estimated"
    yield "precision coreml-*", COREMLTOOLS.lack(), "can be made"


def _space() -> tuple[str, str, str | None]:
    folder = os.getcwd()  # noqa: PTH109  # what the user calls "here"
    free = shutil.disk_usage(folder).free
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return "this folder", "cannot be written to:", error.strerror
    return (
        "this folder",
        f"{free >> 20} MiB free",
        None if free >= _FREE_BYTES else "a build may need 1024 MiB",
    )
