"""Turns a float network into every artifact that was asked for, stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mbexport.artifact import FORMATS, Format, Precision
from mbexport.handoff import Rounded
from mbexport.int8_stages import int8_tflite
from mbexport.run import Run
from mbexport.workdir import StageRecord

# What an .onnx is made from, where that is not the .tflite of its own precision.
_ONNX_SOURCES: Final = {Precision.FP16: Precision.FP32}


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
        made[precision], results = int8_tflite(run)
        found.update(results)
    elif precision in (Precision.FP32, Precision.FP16):
        made[precision] = _float_tflite(run, precision)
    else:
        made[precision] = _rounded_tflite(run, precision)
    return made[precision]


def _float_tflite(run: Run, precision: Precision) -> StageRecord:
    return run.runner.run(
        f"tflite-{precision.value}",
        run.form,
        (run.network,),
        lambda _: _exports().float_tflite_file(run.plan, run.source, run.target(precision, Format.TFLITE)),
    )


def _rounded_tflite(run: Run, precision: Precision) -> StageRecord:
    """8-bit weights with dynamic or 16-bit activations; both have the same weights."""
    plan, images = run.plan, run.sources.calibration
    rounded = run.runner.run(
        "round-weights",
        run.calibration,
        (run.network, *run.checked),
        lambda _: _stages().rounded_weights(plan, run.source, images, on_step=run.runner.progress.step),
    )
    return run.runner.run(
        f"tflite-{precision.value}",
        {**run.form, **(run.images if precision is Precision.INT16X8 else {})},
        (rounded,),
        lambda _: _exports().rounded_tflite_file(
            plan, Rounded.of(run.source, rounded), images, run.target(precision, Format.TFLITE)
        ),
    )


def _onnx(run: Run, precision: Precision, source: Precision, tflite: StageRecord) -> StageRecord:
    """The .onnx of a precision, made from the .tflite of `source`."""
    plan, path = run.plan, tflite.files[run.name(source, Format.TFLITE)]
    return run.runner.run(
        f"onnx-{precision.value}",
        {**run.form, "layout": plan.layout, "opset": plan.opset},
        (tflite,),
        lambda _: _exports().onnx_file(plan, run.source, path, run.target(precision, Format.ONNX)),
    )


def _exports() -> Any:
    """What converts, imported when the first file is made: TensorFlow takes seconds to load."""
    from mbexport import exports

    return exports


def _stages() -> Any:
    """The stages, imported when the first one runs."""
    from mbexport import stages

    return stages
