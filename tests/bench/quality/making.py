"""Turns one float network into the int8 files of every quantizer: peers in processes of their own, ours by its CLI."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
_TIMEOUT_S: Final = 3 * 3600  # a quantizer that takes longer is of no use to anybody
_EXIT_GATE_FAILED: Final = 1  # of mbexport: the artifacts were made
# Stages of `mbexport export` that quantize nothing: what peers are spared is not counted for ours either.
_OTHER_STAGES: Final = frozenset(
    {
        "check-images",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """One way to quantize with `mbexport export`: the options by which it differs from the others."""

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


class ProcessError(Exception):
    """A process that ended badly; the message is its last line."""


def run(command: Sequence[object], *, is_ours: bool = True, allowed: Sequence[int] = (0,)) -> None:
    """Runs `command`, in silence. Raises `ProcessError` unless its exit code is one of `allowed`.

    What is not ours does not see our modules.
    """
    environment = {name: value for name, value in os.environ.items() if is_ours or name != "PYTHONPATH"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise ProcessError(f"took more than {_TIMEOUT_S} s") from None
    if done.returncode not in allowed:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise ProcessError(reason.replace(f"{Path.cwd()}/", ""))


def environment_of(requirements: str, cache: Path) -> Path:
    """The Python of an environment that holds just what `requirements` pins, in `cache`; made if it is not there.

    Raises `ProcessError` if it cannot be.
    """
    pins = HERE / f"requirements-{requirements}.txt"
    folder = cache / requirements
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_bytes() == pins.read_bytes():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", folder], is_ours=False)
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", pins], is_ours=False)
    shutil.copyfile(pins, stamp)
    return python


def made_by_peer(peer: Peer, alpha: float, given: Path, made: Path, *, cache: Path) -> Made:
    """What `peer` makes, into the folder `made`, of the files in `given`."""
    path = made / f"{alpha:g} {peer.name}.{peer.suffix}"
    try:
        python = environment_of(peer.requirements, cache) if peer.requirements else Path(sys.executable)
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


def made_by_us(ours: Ours, alpha: float, weights: Path, images: Images, made: Path) -> list[Made]:
    """What `mbexport export` makes with `ours`: a .tflite and the .onnx of the same integers."""
    out = made / f"{alpha:g} {ours.name}"
    command = [sys.executable, "-m", "mbexport", "export", "--weights", weights, "--alpha", alpha]
    command += ["--calibration", images.calibration, "--data", images.evaluation, "--classes", images.classes]
    command += ["--crop-fraction", 1.0, "--precision", "int8", "--no-resume", "--out", out, *ours.options]
    suffixes = ("tflite", "onnx")
    try:
        run(command, allowed=(0, _EXIT_GATE_FAILED))
    except ProcessError as failure:
        return [Made(alpha=alpha, name=ours.name, suffix=suffix, reason=str(failure)) for suffix in suffixes]
    report = json.loads((out / "report.json").read_text("utf-8"))
    seconds = sum(stage["seconds"] for stage in report["stages"] if stage["name"] not in _OTHER_STAGES)
    rows = []
    for suffix in suffixes:
        path = made / f"{alpha:g} {ours.name}.{suffix}"
        shutil.copyfile(next(out.glob(f"*_int8.{suffix}")), path)
        rows.append(Made(alpha=alpha, name=ours.name, suffix=suffix, path=path, seconds=seconds))
    return rows


def given_files(alpha: float, weights: Path, resolution_px: int, images: Images, given: Path) -> list[Made]:
    """The float files, which are rows of the table too, among all that quantizers are given; see `floats.py`."""
    folders = [images.calibration, images.evaluation, images.classes, given]
    run([sys.executable, HERE / "floats.py", weights, alpha, resolution_px, *folders])
    rows = []
    for suffix in ("tflite", "onnx"):
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
