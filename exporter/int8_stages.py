"""Turns a float network into its int8 .tflite, stage by stage, and into what was found out about that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbexport.artifact import Format, Precision, file_name
from mbexport.fingerprint import path_hash
from mbexport.handoff import Float, Quantized
from mbexport.plan import BuildPlan
from mbexport.sources import Sources
from mbexport.stage_runner import StageRunner
from mbexport.workdir import StageRecord

Found = Mapping[str, Path]


def int8_tflite(
    plan: BuildPlan, sources: Sources, runner: StageRunner, network: StageRecord, checked: tuple[StageRecord, ...]
) -> tuple[StageRecord, Found]:
    """The stage that made the int8 .tflite, and by name what calibration and the checks behind it left."""
    source, name = Float.of(network), file_name(plan.name, Precision.INT8, Format.TFLITE)
    calibrated = _calibrated(plan, sources, runner, network, checked)
    tuned = _tuned(plan, sources, runner, source, calibrated)
    quantized = Quantized.of(source, weights=tuned, ranges=calibrated)
    made = runner.run(
        "tflite-int8",
        {"io": plan.io.value, "name": plan.name, "batch": plan.batch, "logits": plan.logits},
        (tuned, calibrated),
        lambda _: _exports().int8_tflite_file(plan, quantized, name),
    )
    checks = _checks(plan, sources, runner, quantized, made.files[name], made=made, upstream=(tuned, calibrated))
    return made, {**calibrated.files, **tuned.files, **checks}


def _calibrated(
    plan: BuildPlan, sources: Sources, runner: StageRunner, network: StageRecord, checked: tuple[StageRecord, ...]
) -> StageRecord:
    """The folded network's integers before any training, and what they were made of."""
    options = {"samples": plan.calibration_samples, "images": sources.fingerprints, "seed": plan.seed}
    ranges = {"ranges": path_hash(plan.ranges)} if plan.ranges else {"observer": plan.observer}
    return runner.run(
        "calibrate",
        {**options, **ranges, "corrections": plan.corrections},
        (network, *checked),
        lambda _: _heavy().calibrate(plan, Float.of(network), sources.calibration, on_step=runner.progress.step),
    )


def _tuned(
    plan: BuildPlan, sources: Sources, runner: StageRunner, source: Float, calibrated: StageRecord
) -> StageRecord:
    """The network after quantization-aware training, if there is any."""
    return runner.run(
        "quantize",
        {
            "qat_epochs": plan.qat_epochs if plan.qat_steps is None else None,
            "qat_steps": plan.qat_steps,
            "images": sources.fingerprints if plan.is_distilled else None,
        },
        (calibrated,),
        lambda session: _heavy().quantization_training(
            plan,
            Quantized.of(source, weights=calibrated, ranges=calibrated),
            sources.train,
            is_calibrated_on=sources.train is sources.calibration,
            is_photos=sources.is_photos,
            session=session,
            on_step=runner.progress.step,
        ),
    )


def _checks(
    plan: BuildPlan,
    sources: Sources,
    runner: StageRunner,
    network: Quantized,
    tflite: Path,
    *,
    made: StageRecord,
    upstream: tuple[StageRecord, ...],
) -> Found:
    """What was found out about `tflite`, of the stage `made`, and about `network`, of `upstream`: files by name."""
    images = {"images": sources.fingerprints, "samples": plan.calibration_samples, "seed": plan.seed}
    simulation = runner.run(
        "simulation",
        {**images, "logits": plan.logits},
        (made, *upstream),
        lambda _: _examination().simulation_file(plan, network, tflite, sources.calibration),
    )
    if not plan.sensitivity:
        return simulation.files
    costs = runner.run(
        "sensitivity", images, upstream, lambda _: _examination().sensitivity_file(plan, network, sources.calibration)
    )
    return {**simulation.files, **costs.files}


def _heavy() -> Any:
    """The stages, imported when the first one runs: TensorFlow takes seconds to load."""
    from mbexport import stages

    return stages


def _exports() -> Any:
    """What converts, imported when it is needed."""
    from mbexport import exports

    return exports


def _examination() -> Any:
    """What looks into networks, imported when it is needed."""
    from mbexport import examination

    return examination
