"""The pipeline: from a plan and images to verified artifacts in a folder.

`STAGES` is the whole run, in order; of two with one name a run has that of its task. A stage that finished before with
the same key is not run again, and a run in which all did never loads TensorFlow.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mbexport.artifact import Precision
from mbexport.calibration.ranges.range_file import read_ranges
from mbexport.models.architectures import architecture_of
from mbexport.models.data.open import DataSet
from mbexport.pipeline.cache import StageRunner
from mbexport.pipeline.context import NETWORK, Context
from mbexport.pipeline.deliver import delivered_names, delivery_of
from mbexport.pipeline.exports import EXPORTS
from mbexport.pipeline.facts import report_of
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.output_place import require_apart
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.pipeline.publish import Sign, publish, require_room
from mbexport.pipeline.shared_cache import SharedCache
from mbexport.pipeline.stage import Stage
from mbexport.pipeline.stages import (
    calibrate,
    check_import,
    coreml,
    examine,
    export,
    golden,
    images,
    import_detector,
    keep_network,
    npu,
    quantize,
    time_kept,
    train,
    train_detector,
    verify,
    verify_detector,
)
from mbexport.progress import Progress
from mbexport.report.content import Json
from mbexport.workdir import Workdir

_SPACE_PER_PARAMETER_BYTES: Final = 40  # float weights, folded weights and artifacts, twice: cached and delivered
_SPACE_BYTES: Final = 8 << 20
_BYTES_PER_PARAMETER: Final = 4  # of a file with float32 weights

_IMAGES: Final = ("check-images",)
_NETWORK: Final = (*NETWORK, *_IMAGES)
_INT8: Final = ("calibrate", "quantize")
_ARTIFACTS: Final = tuple(each.stage for each in EXPORTS)
_APP_ARTIFACTS: Final = tuple(each.stage for each in EXPORTS if not each.is_raw)

STAGES: Final = (
    Stage(
        name="check-images",
        options=images.check_options,
        work=images.check_images,
        is_wanted=images.has_files,
        check=images.leave_out,
        is_shared=True,
    ),
    # The float network, from one of three origins, and a file of it for the user.
    Stage(
        name="train",
        options=train.train_options,
        upstream=_IMAGES,
        work=train.train,
        is_wanted=train.is_trained,
        is_shared=True,
    ),
    Stage(
        name="train",
        options=train_detector.train_options,
        upstream=_IMAGES,
        work=train_detector.train,
        is_wanted=train_detector.is_detector_trained,
        is_shared=True,
    ),
    Stage(name="weights", options=train.weights_options, work=train.read_weights, is_wanted=train.is_stored),
    Stage(
        name="import",
        options=train.import_options,
        work=train.import_network,
        is_wanted=train.is_foreign,
        check=train.require_classes,
    ),
    Stage(
        name="import",
        options=import_detector.import_options,
        work=import_detector.import_network,
        is_wanted=import_detector.is_foreign_detector,
        check=train.require_classes,
    ),
    Stage(
        name="check-import",
        options=check_import.check_options,
        upstream=_NETWORK,
        work=check_import.check_import,
        is_wanted=check_import.is_checked,
        is_shared=True,
    ),
    Stage(
        name="keras",
        options=keep_network.keep_options,
        upstream=NETWORK,
        work=keep_network.keep,
        is_wanted=keep_network.is_kept,
    ),
    # Its integers.
    Stage(
        name="calibrate",
        options=calibrate.integer_options,
        upstream=_NETWORK,
        work=calibrate.calibrate,
        is_wanted=calibrate.is_int8_needed,
        is_shared=True,
    ),
    Stage(
        name="quantize",
        options=quantize.quantize_options,
        upstream=("calibrate",),
        work=quantize.quantize,
        is_wanted=calibrate.is_int8_needed,
        is_shared=True,
    ),
    Stage(
        name="round-weights",
        options=calibrate.calibration_options,
        upstream=_NETWORK,
        work=calibrate.round_weights,
        is_wanted=calibrate.is_rounding_needed,
        is_shared=True,
    ),
    # A file of each format and precision: tflite-fp32, onnx-fp32, ...
    *map(export.export_stage, EXPORTS),
    # The int8 ones, compiled for chips: tflite-qualcomm-sm8650, ...
    *npu.compile_stages(),
    # Core ML packages: coreml-fp16, ...
    *coreml.package_stages(),
    # What is found out about them.
    Stage(
        name="simulation",
        options=examine.simulation_options,
        upstream=(f"tflite-{Precision.INT8.value}", *_INT8),
        work=examine.simulate,
        is_wanted=examine.is_simulated,
    ),
    Stage(
        name="sensitivity",
        options=calibrate.image_options,
        upstream=_INT8,
        work=examine.measure_sensitivity,
        is_wanted=examine.is_sensitivity_wanted,
        is_shared=True,
    ),
    Stage(
        name="verify",
        options=verify.verify_options,
        upstream=(*_NETWORK, *_ARTIFACTS),
        work=verify.verify,
        is_wanted=verify.is_classifier_judged,
    ),
    Stage(
        name="verify",
        options=verify.verify_options,
        upstream=(*_NETWORK, *_ARTIFACTS),
        work=verify_detector.verify,
        is_wanted=verify_detector.is_detector_judged,
    ),
    Stage(
        name="time-kept",
        options=time_kept.slowdown_options,
        upstream=_ARTIFACTS,
        work=time_kept.time_slowdowns,
        is_wanted=time_kept.is_slowdown_timed,
    ),
    Stage(
        name="normalizations",
        options=verify.normalization_options,
        upstream=NETWORK,
        work=verify.try_normalizations,
        is_wanted=verify.is_assumed,
    ),
    npu.emulation_stage(),
    coreml.simulation_stage(),
    Stage(
        name="golden",
        options=golden.golden_options,
        upstream=(*_NETWORK, *_APP_ARTIFACTS),
        work=golden.golden_vectors,
    ),
    Stage(
        name="hash-images",
        options=images.hash_options,
        work=images.hash_images,
        is_wanted=images.is_hashed,
        is_shared=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run made: the report, empty where nothing was judged, and the folder that holds it and the artifacts."""

    report: Json
    out: Path


def run(
    plan: BuildPlan,
    data: DataSet | None,
    progress: Progress,
    *,
    class_names: tuple[str, ...] | None = None,
    sign: Sign | None = None,
) -> Outcome:
    """Make what `plan` asks for in `plan.out`, verify it on `data`, and give the report.

    Without `data` artifacts are compared on the calibration images; `class_names` then name the scores. `sign` gives
    the signature of the manifest. Raises `InputError` before any work for data or a folder that cannot be used,
    `StageError` for a failure later.
    """
    if plan.ranges:
        read_ranges(plan.ranges)  # one that is damaged must not end a run that is hours old
    require_apart(plan.out, data, (plan.calibration, plan.golden))
    with Workdir.open(plan.out) as workdir:
        require_room(workdir, delivered_names(plan, is_signed=sign is not None), force=plan.force)
        workdir.require_space(_SPACE_PER_PARAMETER_BYTES * _parameters(plan) + _SPACE_BYTES)
        cache = None if plan.cache is None else SharedCache(plan.cache)
        runner = StageRunner(workdir, resume=plan.resume, progress=progress, log_dir=plan.log_dir, cache=cache)
        done = Context(plan=plan, images=ImageSets(plan, data), progress=progress, data=data, class_names=class_names)
        for stage in STAGES:
            if stage.is_wanted(done):
                done = runner.done(stage, done)
        report = report_of(done, runner.log) if plan.is_judged else None
        publish(workdir, delivery_of(done, report, sign=sign), force=plan.force)
        return Outcome(report=json.loads(report) if report else {}, out=plan.out)


def _parameters(plan: BuildPlan) -> int:
    """About how many weights the network has."""
    if isinstance(plan.origin, Foreign):
        files = [plan.origin.model, *plan.origin.model.rglob("*")]
        return sum(file.stat().st_size for file in files if file.is_file()) // _BYTES_PER_PARAMETER
    return architecture_of(plan.origin.spec).cost(plan.origin.spec).parameters
