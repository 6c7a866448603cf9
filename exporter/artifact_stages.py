"""Turns a float network into every artifact that was asked for, stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from mbexport.artifact import FORMATS, Format, Precision, file_name
from mbexport.fingerprint import path_hash
from mbexport.handoff import Float, Rounded
from mbexport.int8_stages import int8_tflite
from mbexport.plan import BuildPlan
from mbexport.sources import Sources
from mbexport.stage_runner import StageRunner
from mbexport.workdir import StageRecord

# What an .onnx is made from, where that is not the .tflite of its own precision.
_ONNX_SOURCES: Final = {Precision.FP16: Precision.FP32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every stage of one run stands on: options, images, the float network and what looked at the images."""

    plan: BuildPlan
    sources: Sources
    runner: StageRunner
    network: StageRecord
    checked: tuple[StageRecord, ...]

    def name(self, precision: Precision, file_format: Format) -> str:
        """The file name of an artifact."""
        return file_name(self.plan.name, precision, file_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """The stage that made each artifact, by file name, and what was found out on the way: files by name."""

    stages: Mapping[str, StageRecord]
    found: Mapping[str, Path] = field(default_factory=dict)


def artifacts(run: Run) -> Artifacts:
    """Makes the .tflite of each precision, and from it the .onnx; what nobody asked for is not handed out."""
    found: dict[str, Path] = {}
    made: dict[str, StageRecord] = {}
    tflite: dict[Precision, StageRecord] = {}
    for precision in run.plan.precisions:
        formats = [each for each in FORMATS[precision] if each in run.plan.formats]
        if Format.TFLITE in formats:
            made[run.name(precision, Format.TFLITE)] = _tflite(run, precision, tflite, found)
        if Format.ONNX in formats:
            source = _ONNX_SOURCES.get(precision, precision)
            made[run.name(precision, Format.ONNX)] = _onnx(run, precision, source, _tflite(run, source, tflite, found))
    return Artifacts(stages=made, found=found)


def _tflite(run: Run, precision: Precision, made: dict[Precision, StageRecord], found: dict[str, Path]) -> StageRecord:
    """The stage that made the .tflite of a precision, once; what int8 found out on the way goes into `found`."""
    if precision in made:
        return made[precision]
    if precision is Precision.INT8:
        made[precision], results = int8_tflite(run.plan, run.sources, run.runner, run.network, run.checked)
        found.update(results)
    elif precision in (Precision.FP32, Precision.FP16):
        made[precision] = _float_tflite(run, precision)
    else:
        made[precision] = _rounded_tflite(run, precision)
    return made[precision]


def _float_tflite(run: Run, precision: Precision) -> StageRecord:
    name, source = run.name(precision, Format.TFLITE), Float.of(run.network)
    return run.runner.run(
        f"tflite-{precision.value}",
        _form(run.plan, name),
        (run.network,),
        lambda _: _exports().float_tflite_file(run.plan, source, precision, name),
    )


def _rounded_tflite(run: Run, precision: Precision) -> StageRecord:
    """8-bit weights with dynamic or 16-bit activations; both have the same weights."""
    plan, sources, source = run.plan, run.sources, Float.of(run.network)
    ranges = {"ranges": path_hash(plan.ranges)} if plan.ranges else {"observer": plan.observer}
    images = {"samples": plan.calibration_samples, "images": sources.fingerprints, "seed": plan.seed}
    rounded = run.runner.run(
        "round-weights",
        {**images, **ranges, "corrections": plan.corrections},
        (run.network, *run.checked),
        lambda _: _stages().rounded_weights(plan, source, sources.calibration, on_step=run.runner.progress.step),
    )
    name = run.name(precision, Format.TFLITE)
    return run.runner.run(
        f"tflite-{precision.value}",
        {**_form(plan, name), **(images if precision is Precision.INT16X8 else {})},
        (rounded,),
        lambda _: _exports().rounded_tflite_file(
            plan, Rounded.of(source, rounded), sources.calibration, precision, name
        ),
    )


def _onnx(run: Run, precision: Precision, source: Precision, tflite: StageRecord) -> StageRecord:
    name = run.name(precision, Format.ONNX)
    return run.runner.run(
        f"onnx-{precision.value}",
        {"name": name},
        (tflite,),
        partial(_onnx_file, tflite.files[run.name(source, Format.TFLITE)], precision, name),
    )


def _onnx_file(source: Path, precision: Precision, name: str, _session: object) -> Mapping[str, bytes]:
    files: Mapping[str, bytes] = _exports().onnx_file(source, precision, name)
    return files


def _form(plan: BuildPlan, name: str) -> dict[str, Any]:
    """The options that every conversion reads."""
    return {"name": name, "batch": plan.batch, "logits": plan.logits}


def _exports() -> Any:
    """What converts, imported when the first file is made: TensorFlow takes seconds to load."""
    from mbexport import exports

    return exports


def _stages() -> Any:
    """The stages, imported when the first one runs."""
    from mbexport import stages

    return stages
