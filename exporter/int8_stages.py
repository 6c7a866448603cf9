"""Turns a float network into its int8 .tflite, stage by stage, and into what was found out about that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbexport.artifact import Format, Precision
from mbexport.handoff import Quantized
from mbexport.run import Run
from mbexport.workdir import StageRecord

Found = Mapping[str, Path]


def int8_tflite(run: Run) -> tuple[StageRecord, Found]:
    """The stage that made the int8 .tflite, and by name what calibration and the checks behind it left."""
    plan, target = run.plan, run.target(Precision.INT8, Format.TFLITE)
    calibrated = _calibrated(run)
    tuned = _tuned(run, calibrated)
    quantized = Quantized.of(run.source, weights=tuned, ranges=calibrated)
    made = run.runner.run(
        "tflite-int8",
        {**run.form, "io": plan.io.value},
        (tuned, calibrated),
        lambda _: _exports().int8_tflite_file(plan, quantized, target),
    )
    checks = _checks(run, quantized, made.files[target.name], made=made, upstream=(tuned, calibrated))
    return made, {**calibrated.files, **tuned.files, **checks}


def _calibrated(run: Run) -> StageRecord:
    """The folded network's integers before any training, and what they were made of."""
    return run.runner.run(
        "calibrate",
        run.calibration,
        (run.network, *run.checked),
        lambda _: _heavy().calibrate(run.plan, run.source, run.sources.calibration, on_step=run.runner.progress.step),
    )


def _tuned(run: Run, calibrated: StageRecord) -> StageRecord:
    """The network after quantization-aware training, if there is any."""
    plan, sources = run.plan, run.sources
    return run.runner.run(
        "quantize",
        {
            "qat_epochs": plan.qat_epochs if plan.qat_steps is None else None,
            "qat_steps": plan.qat_steps,
            "images": sources.fingerprints if plan.is_distilled else None,
        },
        (calibrated,),
        lambda session: _heavy().quantization_training(
            plan,
            Quantized.of(run.source, weights=calibrated, ranges=calibrated),
            sources.train,
            is_calibrated_on=sources.train is sources.calibration,
            is_photos=sources.is_photos,
            session=session,
            on_step=run.runner.progress.step,
        ),
    )


def _checks(
    run: Run, network: Quantized, tflite: Path, *, made: StageRecord, upstream: tuple[StageRecord, ...]
) -> Found:
    """What was found out about `tflite`, of the stage `made`, and about `network`, of `upstream`: files by name."""
    plan, calibration = run.plan, run.sources.calibration
    if not plan.is_judged:
        return {}
    simulation = run.runner.run(
        "simulation",
        {**run.images, "logits": plan.logits},
        (made, *upstream),
        lambda _: _examination().simulation_file(plan, network, tflite, calibration),
    )
    if not plan.sensitivity:
        return simulation.files
    costs = run.runner.run(
        "sensitivity", run.images, upstream, lambda _: _examination().sensitivity_file(plan, network, calibration)
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
