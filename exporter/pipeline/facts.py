"""What report.json says of a run: tool, model, data, options, stages, and the verdict on what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mbexport import __version__
from mbexport.artifact import Io
from mbexport.fingerprint import library_versions, path_hash
from mbexport.models.architectures import family_named, options_of_architectures
from mbexport.models.data.open import DataSet
from mbexport.models.facts import Facts
from mbexport.models.spec import rho_of
from mbexport.models.ssd.spec import FEATURE_STRIDES, SsdSpec
from mbexport.pipeline.context import Context
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.plan import BuildPlan, Foreign, Origin, Trained
from mbexport.pipeline.stage_files import (
    AGREEMENT,
    CALIBRATION,
    COREML,
    HISTORY,
    KEPT,
    MEASURED,
    NPU,
    TRAINING,
    TRIED,
)
from mbexport.report.content import preprocess_json, report_json, stages_json, to_bytes
from mbexport.report.detector_content import anchors_json, boxes_json
from mbexport.report.images import copies_json, left_out_json, unreadable_json
from mbexport.verification.gates import NetworkFacts
from mbexport.verification.judge import judge_files
from mbexport.verification.task_gates import TASK_GATES

_BYTES_PER_WEIGHT: Final = 4


def report_of(run: Context, stages: Sequence[tuple[str, float, bool]]) -> bytes:
    """The content of report.json: what is known of the run, what its stages found, and the verdict.

    `stages` are their names, seconds, and whether they were reused.
    """
    plan, facts = run.plan, run.float.facts
    measured = run.read(MEASURED) | (run.read(NPU) or {}) | (run.read(COREML) or {})
    calibration = run.read(CALIBRATION)
    network = NetworkFacts.of_parameters(
        family=facts.family,
        alpha=facts.alpha,
        resolution=facts.preprocess.resolution,
        mult_adds=facts.mult_adds,
        parameters=facts.parameters,
        has_float_io=plan.io is Io.FLOAT32,
    )
    if calibration is not None:
        network = replace(network, **_in_float(calibration))
    gates = judge_files(measured, network, plan.limits, strict=plan.strict, gates=TASK_GATES[plan.task])
    report = report_json(measured, gates, run_facts(plan, facts, run.data, run.images, stages), strict=plan.strict)
    report |= {"training": run.read(HISTORY), "qat": run.read(TRAINING), "tried_normalizations": run.read(TRIED)}
    report |= {"import_agreement": run.read(AGREEMENT)}
    report |= {name: run.read(f"{name}.json") for name in ("calibration", "simulation", "health", "sensitivity")}
    if (speed := run.read(KEPT)) is not None:
        report |= {"in_float": speed["slowdowns"]}
    return to_bytes(report)


def _in_float(calibration: Mapping[str, Any]) -> dict[str, Any]:
    """What limits depend on where layers of int8 artifacts were to stay in float."""
    kept, convolutions = calibration["in_float"], calibration["convolutions"]
    return {
        "integer_share": 1 - len(kept) / convolutions,
        "float_bytes": _BYTES_PER_WEIGHT * sum(row["weights"] for row in kept),
    }


def run_facts(
    plan: BuildPlan, facts: Facts, data: DataSet | None, sources: ImageSets, stages: Sequence[tuple[str, float, bool]]
) -> dict[str, Any]:
    """The report's part on the run itself: tool, model, data, options, and each stage with its seconds."""
    preprocess = facts.preprocess
    return {
        "tool": {"name": "mbexport", "version": __version__, "libraries": library_versions()},
        "model": {
            "name": plan.name,
            "family": facts.family,
            "title": family_named(facts.family).title,
            **_origin(plan.origin),
            **_imported_variant(plan.origin, facts),
            "alpha": facts.alpha,
            "resolution_px": preprocess.resolution.json,
            "rho": rho_of(preprocess.resolution),
            "channels": preprocess.channels,
            "classes": facts.classes,
            "output": facts.output.value,
            "mult_adds": facts.mult_adds,
            "parameters": facts.parameters,
        },
        "data": {
            "name": data.name if data else None,
            "fingerprint": sources.fingerprints[0] or None,
            "calibration_fingerprint": sources.fingerprints[1],
            **preprocess_json(preprocess),
            "images": sources.checked,
            "best_epoch_chosen_on_test": isinstance(plan.origin, Trained)
            and plan.origin.weights is not None
            and sources.is_validated_on_test,
            "unreadable": unreadable_json(sources.unreadable),
            "left_out": left_out_json(sources.left_out),
            "copies": copies_json(sources.copies),
        },
        "options": _options(plan),
        "stages": stages_json(stages),
        **_of_detector(plan, facts, data),
    }


def _of_detector(plan: BuildPlan, facts: Facts, data: DataSet | None) -> dict[str, Any]:
    """What only a detector's report has: its anchors, and the boxes of the data that cannot be used."""
    if facts.detector is None:
        return {}
    choice = plan.origin.anchors if isinstance(plan.origin, Trained) else None
    return {
        "anchors": anchors_json(facts.detector, choice),
        "boxes": boxes_json(data.box_problems if data else {}),
    }


def _options(plan: BuildPlan) -> dict[str, Any]:
    """The options that decide what is made."""
    return {
        "epochs": plan.origin.epochs if isinstance(plan.origin, Trained) else None,
        "qat_epochs": plan.qat_epochs if plan.qat_steps is None else None,
        "qat_steps": plan.qat_steps,
        "calibration_samples": plan.calibration_samples,
        "observer": None if plan.ranges else plan.observer.value,
        "ranges": plan.ranges.name if plan.ranges else None,
        "corrections": [each.value for each in plan.corrections],
        "keep": plan.keep.texts,
        "max_bad": plan.max_bad,
        "io": plan.io.value,
        "seed": plan.seed,
        "threads": plan.threads,
    }


def _imported_variant(origin: Origin, facts: Facts) -> dict[str, Any]:
    """What an imported detector differs in from others of its architecture: the stride of its finest map."""
    if not isinstance(origin, Foreign) or facts.detector is None:
        return {}
    resolution, maps = facts.detector.resolution, facts.detector.maps
    specs = (SsdSpec(resolution=resolution, feature_stride=stride) for stride in FEATURE_STRIDES)
    return next(spec.variant for spec in specs if spec.maps == maps)


def _origin(origin: Origin) -> dict[str, Any]:
    """Where the float network came from."""
    spec, file = (None, origin.model) if isinstance(origin, Foreign) else (origin.spec, origin.weights)
    return {
        **dict.fromkeys(options_of_architectures()),
        **(spec.variant if spec else {}),
        "trained_here": isinstance(origin, Trained),
        "source": {"file": file.name, "sha256": path_hash(file)} if file else None,
    }
