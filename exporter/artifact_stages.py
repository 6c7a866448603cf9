"""Turns a float network into every artifact that was asked for, stage by stage."""

from collections.abc import Mapping
from dataclasses import dataclass
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
    found: Mapping[str, Path]


def artifacts(run: Run) -> Artifacts:
    """Makes the .tflite of each precision, and from it the .onnx; what nobody asked for is not handed out."""
    made: dict[str, StageRecord] = {}
    tflite = _TfliteStages(run)
    for precision in run.plan.precisions:
        formats = [each for each in FORMATS[precision] if each in run.plan.formats]
        if Format.TFLITE in formats:
            made[run.name(precision, Format.TFLITE)] = tflite.of(precision)
        if Format.ONNX in formats:
            source = _ONNX_SOURCES.get(precision, precision)
            made[run.name(precision, Format.ONNX)] = _onnx(run, precision, source, tflite.of(source))
    return Artifacts(stages=made, found=tflite.found)


class _TfliteStages:
    """The stages that make the .tflite of each precision, each run once; `found` is what int8 found out on the way."""

    def __init__(self, run: Run) -> None:
        self.found: Mapping[str, Path] = {}
        self._run = run
        self._made: dict[Precision, StageRecord] = {}
        self._rounded: StageRecord | None = None

    def of(self, precision: Precision) -> StageRecord:
        """The stage that made the .tflite of that precision."""
        if precision not in self._made:
            self._made[precision] = self._make(precision)
        return self._made[precision]

    def _make(self, precision: Precision) -> StageRecord:
        if precision is Precision.INT8:
            record, self.found = int8_tflite(self._run)
            return record
        if precision in (Precision.FP32, Precision.FP16):
            return _float_tflite(self._run, precision)
        if self._rounded is None:
            self._rounded = _rounded_weights(self._run)
        return _rounded_tflite(self._run, precision, self._rounded)


def _float_tflite(run: Run, precision: Precision) -> StageRecord:
    return run.runner.run(
        f"tflite-{precision.value}",
        run.form,
        (run.network,),
        lambda _: _exports().float_tflite_file(run.plan, run.source, run.target(precision, Format.TFLITE)),
    )


def _rounded_weights(run: Run) -> StageRecord:
    """The 8-bit weights of networks whose activations have more bits, or are floats."""
    return run.runner.run(
        "round-weights",
        run.calibration,
        (run.network, *run.checked),
        lambda _: _stages().rounded_weights(
            run.plan, run.source, run.sources.calibration, on_step=run.runner.progress.step
        ),
    )


def _rounded_tflite(run: Run, precision: Precision, rounded: StageRecord) -> StageRecord:
    """8-bit weights with dynamic or 16-bit activations."""
    target = run.target(precision, Format.TFLITE)
    return run.runner.run(
        f"tflite-{precision.value}",
        {**run.form, **(run.images if precision is Precision.INT16X8 else {})},
        (rounded,),
        lambda _: _exports().rounded_tflite_file(
            run.plan, Rounded.of(run.source, rounded), run.sources.calibration, target
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
