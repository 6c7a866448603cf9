"""Make the int8 files of every quantizer from one float network: peers in processes of their own, ours by its CLI."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.environments import ProcessError, python_with, run

HERE: Final = Path(__file__).parent
SUFFIXES: Final = ("tflite", "onnx")
_EXIT_GATE_FAILED: Final = 1  # of mbexport: the artifacts were made
# Stages of `mbexport` that quantize nothing: what peers are spared is not counted for ours either.
_OTHER_STAGES: Final = frozenset(
    {
        "check-images",
        "train",
        "weights",
        "tflite-fp32",
        "onnx-fp32",
        "onnx-int8",
        "verify",
        "normalizations",
        "simulation",
        "sensitivity",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Somebody else's quantizer: the script that runs it, and what that writes (`tflite` or `onnx`).

    With `requirements`, the file of that name says what its own environment holds; else it runs in ours.
    """

    name: str
    script: str
    suffix: str
    requirements: str | None = None
    arguments: tuple[str, ...] = ()


# Each runtime's own quantizer, with which ours of the same file are compared.
ORT_STATIC: Final = Peer(
    name="onnxruntime quantize_static", script="by_onnxruntime.py", suffix="onnx", requirements="onnxruntime"
)
TFLITE_PTQ: Final = Peer(name="TFLite PTQ", script="by_tflite.py", suffix="tflite")
BASELINES: Final = {each.suffix: each.name for each in (TFLITE_PTQ, ORT_STATIC)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """One way to quantize with `mbexport`: the options by which it differs from the others."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The folders of images, and the file that names the classes."""

    calibration: Path
    evaluation: Path
    classes: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One row of the table: a file and the seconds it took, or the reason why there is none.

    `name` says by which quantizer, `version` by which release of it. A float file took no quantizer's seconds: NaN.
    """

    alpha: float
    name: str
    suffix: str
    path: Path | None = None
    seconds: float = float("nan")
    version: str = ""
    reason: str = ""


def made_by_peer(peer: Peer, alpha: float, given: Path, made: Path) -> Made:
    """What `peer` makes, into the folder `made`, of the files in `given`."""
    path = made / f"{alpha:g} {peer.name}.{peer.suffix}"
    try:
        python = python_with(HERE / f"requirements-{peer.requirements}.txt") if peer.requirements else sys.executable
        script = [python, HERE / peer.script, given, path, *peer.arguments]
        run(script, is_ours=peer.requirements is None)
        note = json.loads(Path(f"{path}.json").read_text("utf-8"))
    except ProcessError as failure:
        return Made(alpha=alpha, name=peer.name, suffix=peer.suffix, reason=str(failure))
    return Made(
        alpha=alpha,
        name=peer.name,
        suffix=peer.suffix,
        path=path,
        seconds=note["seconds"],
        version=note["version"],
    )


def export(alpha: float, weights: Path, images: Images, out: Path, options: Sequence[object]) -> None:
    """Runs `mbexport export` with `options`, into the folder `out`. Raises `ProcessError` if it makes nothing."""
    run(_export_command(alpha, weights, images, out, options), allowed=(0, _EXIT_GATE_FAILED))


def _export_command(alpha: float, weights: Path, images: Images, out: Path, options: Sequence[object]) -> list[object]:
    command = [sys.executable, "-m", "mbexport", "export", "--weights", weights, "--alpha", alpha]
    command += ["--calibration", images.calibration, "--data", images.evaluation, "--classes", images.classes]
    return [*command, "--crop-fraction", 1.0, "--no-resume", "--out", out, *options]


def made_by_us(ours: Ours, alpha: float, weights: Path, images: Images, made: Path) -> list[Made]:
    """What `mbexport export` makes with `ours`: a .tflite and the .onnx of the same integers."""
    out = made / f"{alpha:g} {ours.name}"
    command = _export_command(alpha, weights, images, out, ("--precision", "int8", *ours.options))
    return made_by_command(command, out, ours.name, alpha, made)


def made_by_command(command: Sequence[object], out: Path, name: str, alpha: float, made: Path) -> list[Made]:
    """What `mbexport` makes into the folder `out`, run by `command`: a .tflite and the .onnx of the same integers."""
    try:
        run(command, allowed=(0, _EXIT_GATE_FAILED))
    except ProcessError as failure:
        return [Made(alpha=alpha, name=name, suffix=suffix, reason=str(failure)) for suffix in SUFFIXES]
    return rows_of_export(out, name, alpha, made)


def rows_of_export(out: Path, name: str, alpha: float, made: Path) -> list[Made]:
    """The int8 files of a finished run in the folder `out`, copied into the folder `made`; `name` says whose."""
    report = json.loads((out / "report.json").read_text("utf-8"))
    seconds = sum(stage["seconds"] for stage in report["stages"] if stage["name"] not in _OTHER_STAGES)
    rows = []
    for suffix in SUFFIXES:
        path = made / f"{alpha:g} {name}.{suffix}"
        shutil.copyfile(next(out.glob(f"*_int8.{suffix}")), path)
        rows.append(Made(alpha=alpha, name=name, suffix=suffix, path=path, seconds=seconds))
    return rows


def given_files(alpha: float, weights: Path, resolution_px: int, images: Images, given: Path) -> list[Made]:
    """The float files, which are rows of the table too, among all that quantizers are given; see `floats.py`."""
    folders = [images.calibration, images.evaluation, images.classes, given]
    run([sys.executable, HERE / "floats.py", weights, alpha, resolution_px, *folders])
    rows = []
    for suffix in SUFFIXES:
        path = given / f"{alpha:g} float.{suffix}"
        shutil.copyfile(given / f"fp32.{suffix}", path)
        rows.append(Made(alpha=alpha, name="float", suffix=suffix, path=path))
    return rows


def thinned(folder: Path, count: int, to: Path) -> Path:
    """`count` images of `folder`, evenly spread over it, in the same sub-folders below `to`."""
    shutil.rmtree(to, ignore_errors=True)
    files = sorted(file for file in folder.glob("*/*") if file.is_file())
    for index in range(count):
        file = files[index * len(files) // count]
        target = to / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return to
