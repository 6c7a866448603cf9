"""Turns a plan and a data set into verified artifacts: the whole build on one screen, in `_stages`.

A stage that finished before with the same key is not run again, and a run in which all did never loads TensorFlow.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mbexport.artifact import Format, Precision, file_name
from mbexport.deliver import about, publish
from mbexport.errors import DataError
from mbexport.fingerprint import code_fingerprint, library_versions
from mbexport.gates import default_limits, judge
from mbexport.models.cost import cost
from mbexport.models.data import Data, ImageSet, find_unreadable, open_unlabelled
from mbexport.plan import GATE_VALUES, MEASURED, RANGES, WEIGHTS, BuildPlan
from mbexport.progress import Progress
from mbexport.report import Json, report_json, to_bytes
from mbexport.workdir import StageRecord, Workdir, stage_key

if TYPE_CHECKING:
    from mbexport import stages

_SPACE_PER_PARAMETER_BYTES: Final = 40  # float weights, folded weights and artifacts, twice: cached and delivered
_SPACE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a build made: the report, and the folder that holds it beside the artifacts."""

    report: Json
    out: Path


class _Runner:
    """Runs stages, or finds that an earlier run did."""

    def __init__(self, workdir: Workdir, *, resume: bool, progress: Progress) -> None:
        self.workdir, self.progress = workdir, progress
        self.log: list[tuple[str, float, bool]] = []
        self._resume = resume

    def run(
        self,
        stage: str,
        options: Mapping[str, object],
        upstream: tuple[StageRecord, ...],
        work: "Callable[[], Mapping[str, bytes]]",
    ) -> StageRecord:
        shared = {"code": code_fingerprint(), "libraries": library_versions()}
        key = stage_key(stage, {**options, **shared}, tuple(record.key for record in upstream))
        record = self.workdir.finished(stage, key) if self._resume else None
        reused = record is not None
        if record is None:
            self.progress.start(stage)
            started = time.monotonic()
            files = work()
            record = self.workdir.finish(stage, key, files, seconds=time.monotonic() - started)
        self.log.append((stage, record.seconds, reused))
        self.progress.finish(stage, record.seconds, reused=reused)
        return record


def run(plan: BuildPlan, data: Data, progress: Progress) -> Outcome:
    """Builds what `plan` says from `data`, into `plan.out`, and gives the report.

    Raises `InputError` before any work for data or a folder that cannot be used, `StageError` for a failure later.
    """
    with Workdir.open(plan.out) as workdir:
        workdir.require_space(_SPACE_PER_PARAMETER_BYTES * cost(plan.spec).parameters + _SPACE_BYTES)
        runner = _Runner(workdir, resume=plan.resume, progress=progress)
        artifacts, measured = _stages(plan, data, runner)
        gates = judge(
            json.loads(measured.files[GATE_VALUES].read_bytes()),
            plan.limits,
            defaults=default_limits(plan.spec),
        )
        found = json.loads(measured.files[MEASURED].read_bytes())
        report = report_json(found, gates, about(plan, data, runner.log))
        publish(workdir, data, artifacts, to_bytes(report))
        return Outcome(report=json.loads(to_bytes(report)), out=plan.out)


def _stages(plan: BuildPlan, data: Data, runner: _Runner) -> tuple[dict[str, Path], StageRecord]:
    """The stages in their order; each names the options it reads and the stages it stands on."""
    images = _Images(plan, data)
    learning = _learning_options(plan, data)

    _require_readable(images, runner)
    trained = runner.run(
        "train",
        {**learning, "epochs": plan.epochs},
        (),
        lambda: _heavy().train_float(plan, images.train, is_photos=data.is_photos, on_step=runner.progress.step),
    )
    tflite = {}
    if Precision.FP32 in plan.precisions:
        tflite[Precision.FP32] = runner.run(
            "tflite-fp32",
            _network_options(plan),
            (trained,),
            lambda: _heavy().fp32_tflite_file(plan, trained.files[WEIGHTS], _name(plan, Precision.FP32, Format.TFLITE)),
        )
    if Precision.INT8 in plan.precisions:
        tflite[Precision.INT8] = _int8_tflite(plan, data, runner, images, trained)
    artifacts = _artifacts(plan, runner, tflite)
    measured = runner.run(
        "verify",
        {**learning, "threads": plan.threads, "artifacts": sorted(artifacts)},
        (trained, *artifacts.values()),
        lambda: _heavy().measured_file(
            plan,
            trained.files[WEIGHTS],
            [record.files[name] for name, record in artifacts.items()],
            images.test,
            runner.progress,
        ),
    )
    return {name: record.files[name] for name, record in artifacts.items()}, measured


def _int8_tflite(plan: BuildPlan, data: Data, runner: _Runner, images: "_Images", trained: StageRecord) -> StageRecord:
    """From the float network to the int8 .tflite."""
    step = runner.progress.step
    calibrated = runner.run(
        "calibrate",
        {
            **_network_options(plan),
            "samples": plan.calibration_samples,
            "images": images.calibration_fingerprint,
        },
        (trained,),
        lambda: _heavy().calibrate(plan, trained.files[WEIGHTS], images.calibration, on_step=step),
    )
    tuned = runner.run(
        "quantize",
        {**_learning_options(plan, data), "qat_epochs": plan.qat_epochs},
        (calibrated,),
        lambda: _heavy().quantization_training(
            plan, _quantized(calibrated, calibrated), images.train, is_photos=data.is_photos, on_step=step
        ),
    )
    return runner.run(
        "tflite-int8",
        {**_network_options(plan), "io": plan.io.value},
        (tuned, calibrated),
        lambda: _heavy().int8_tflite_file(
            plan, _quantized(tuned, calibrated), _name(plan, Precision.INT8, Format.TFLITE)
        ),
    )


def _network_options(plan: BuildPlan) -> dict[str, object]:
    return {"spec": plan.spec, "preprocess": plan.preprocess, "seed": plan.seed}


def _learning_options(plan: BuildPlan, data: Data) -> dict[str, object]:
    return {**_network_options(plan), "data": data.fingerprint}


def _artifacts(plan: BuildPlan, runner: _Runner, tflite: Mapping[Precision, StageRecord]) -> dict[str, StageRecord]:
    """The stage that made each artifact that was asked for, by file name; ONNX is made from the .tflite."""
    made: dict[str, StageRecord] = {}
    for precision in plan.precisions:
        source = tflite[precision]
        source_name, name = (_name(plan, precision, kind) for kind in (Format.TFLITE, Format.ONNX))
        if Format.TFLITE in plan.formats:
            made[source_name] = source
        if Format.ONNX in plan.formats:
            made[name] = runner.run(
                f"onnx-{precision.value}",
                {"name": name},
                (source,),
                partial(_onnx_file, source.files[source_name], precision, name),
            )
    return made


class _Images:
    """The sets of images that the stages read, opened when the first stage does."""

    def __init__(self, plan: BuildPlan, data: Data) -> None:
        self._plan, self._data = plan, data
        self._split: tuple[ImageSet, ImageSet] | None = None
        self._unlabelled = open_unlabelled(plan.calibration) if plan.calibration else None

    @property
    def train(self) -> ImageSet:
        return self._sets()[0]

    @property
    def test(self) -> ImageSet:
        return self._sets()[1]

    @property
    def calibration(self) -> ImageSet:
        return self._unlabelled[0] if self._unlabelled else self.train

    @property
    def calibration_fingerprint(self) -> str:
        return self._unlabelled[1] if self._unlabelled else self._data.fingerprint

    @property
    def has_files(self) -> bool:
        """Whether any image is read from a file."""
        return self._data.is_photos or self._unlabelled is not None

    def read_from_files(self) -> list[ImageSet]:
        """Every set once: calibration images are part of the training set unless a folder of their own was given."""
        own = [self._unlabelled[0]] if self._unlabelled else []
        return [*self._sets(), *own] if self._data.is_photos else own

    @property
    def fingerprints(self) -> tuple[str, str]:
        return self._data.fingerprint, self.calibration_fingerprint

    def _sets(self) -> tuple[ImageSet, ImageSet]:
        if self._split is None:
            self._split = self._data.split(self._plan.seed)
        return self._split


def _require_readable(images: _Images, runner: _Runner) -> None:
    """Decodes every photo once, before any work: a damaged one must not end a run that is hours old."""

    def check() -> Mapping[str, bytes]:
        bad = [line for part in images.read_from_files() for line in find_unreadable(part)]
        if bad:
            more = f" (and {len(bad) - 1} more that cannot be read)" if len(bad) > 1 else ""
            raise DataError(bad[0] + more)
        return {}

    if images.has_files:
        runner.run("check-images", {"images": images.fingerprints}, (), check)


def _onnx_file(source: Path, precision: Precision, name: str) -> Mapping[str, bytes]:
    files: Mapping[str, bytes] = _heavy().onnx_file(source, precision, name)
    return files


def _quantized(weights: StageRecord, ranges: StageRecord) -> "stages.Quantized":
    from mbexport.stages import Quantized

    return Quantized(weights=weights.files[WEIGHTS], ranges=ranges.files[RANGES])


def _name(plan: BuildPlan, precision: Precision, file_format: Format) -> str:
    return file_name(plan.spec.stem_name, precision, file_format)


def _heavy() -> Any:
    """The stages, imported when the first one runs: TensorFlow takes seconds to load."""
    from mbexport import stages

    return stages
