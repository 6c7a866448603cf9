"""Turns a plan and images into verified artifacts: the whole run on one screen, in `_stages`.

A stage that finished before with the same key is not run again, and a run in which all did never loads TensorFlow.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mbexport.about import about
from mbexport.artifact import Io
from mbexport.artifact_stages import artifacts
from mbexport.calibration.range_file import read_ranges
from mbexport.deliver import Told, delivery_of, manifest_of, ranges_name
from mbexport.errors import DataError
from mbexport.fingerprint import path_hash
from mbexport.handoff import Float
from mbexport.models.cost import cost
from mbexport.models.data import Data
from mbexport.models.preprocess import MOBILENET
from mbexport.plan import (
    HISTORY,
    MEASURED,
    OBSERVED,
    PICTURES,
    TRAINING,
    TRIED,
    BuildPlan,
    Foreign,
    Stored,
    Trained,
)
from mbexport.progress import Progress
from mbexport.publishing import Sign, publish
from mbexport.report import Json, report_json, to_bytes
from mbexport.run import Run
from mbexport.sources import FINDINGS, Sources
from mbexport.stage_runner import StageRunner
from mbexport.verdict.default_limits import Known, default_limits
from mbexport.verdict.gate_values import gate_values
from mbexport.verdict.gates import judge
from mbexport.verdict.pictures import pictures_from_json
from mbexport.workdir import StageRecord, Workdir

_SPACE_PER_PARAMETER_BYTES: Final = 40  # float weights, folded weights and artifacts, twice: cached and delivered
_SPACE_BYTES: Final = 8 << 20
_BYTES_PER_PARAMETER: Final = 4  # of a file with float32 weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run made: the report, empty where nothing was judged, and the folder that holds it and the artifacts."""

    report: Json
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What the stages of a run made: artifacts and golden vectors by their file names, and JSON files by name."""

    run: Run
    artifacts: Mapping[str, Path]
    golden: Mapping[str, Path]
    results: Mapping[str, Path]

    def read(self, name: str) -> Any:
        """What the file called `name` holds; None if no stage made one."""
        return json.loads(self.results[name].read_bytes()) if name in self.results else None

    def delivered(self, stem: str) -> dict[str, bytes]:
        """What the user gets, by the names that it gets there."""
        ranges = {ranges_name(stem): self.results[OBSERVED]} if OBSERVED in self.results else {}
        return {name: path.read_bytes() for name, path in {**self.artifacts, **ranges, **self.golden}.items()}


def run(
    plan: BuildPlan,
    data: Data | None,
    progress: Progress,
    *,
    class_names: tuple[str, ...] | None = None,
    sign: Sign | None = None,
) -> Outcome:
    """Makes what `plan` says into `plan.out`, verifies it on `data`, and gives the report.

    Without `data` artifacts are compared on the calibration images; `class_names` then says what the scores are.
    `sign` gives the signature of the manifest.
    Raises `InputError` before any work for data or a folder that cannot be used, `StageError` for a failure later.
    """
    labels = data.class_names if data else class_names
    if plan.ranges:
        read_ranges(plan.ranges)  # one that is damaged must not end a run that is hours old
    with Workdir.open(plan.out) as workdir:
        workdir.require_space(_SPACE_PER_PARAMETER_BYTES * _parameters(plan) + _SPACE_BYTES)
        runner = StageRunner(workdir, resume=plan.resume, progress=progress, log_dir=plan.log_dir)
        sources = Sources(plan, data)
        made = _stages(plan, sources, runner, labels=labels)
        manifest = manifest_of(plan.recipe, plan.origin, sources, runner) if plan.recipe else None
        told = None
        if plan.is_judged:
            report = _report(made, about(plan, made.run.source.facts, data, sources, runner.log))
            told = Told(report=report, pictures=pictures_from_json(made.results[PICTURES].read_bytes()))
        delivered = made.delivered(plan.name)
        publish(workdir, delivery_of(plan, delivered, told, labels=made.run.labels, manifest=manifest, sign=sign))
        return Outcome(report=json.loads(told.report) if told else {}, out=plan.out)


def _report(made: _Made, told: Json) -> bytes:
    """The content of report.json: `told` of the run, and what the stages found."""
    plan, facts, measured = made.run.plan, made.run.source.facts, made.read(MEASURED)
    known = Known.of_parameters(
        alpha=facts.alpha,
        resolution_px=facts.preprocess.resolution_px,
        mult_adds=facts.mult_adds,
        parameters=facts.parameters,
    )
    defaults = default_limits(known) | ({"int8_io": 0.0} if plan.io is Io.FLOAT32 else {})
    gates = judge(gate_values(measured), plan.limits, defaults=defaults, strict=plan.strict)
    report = report_json(measured, gates, told, strict=plan.strict)
    report |= {"training": made.read(HISTORY), "qat": made.read(TRAINING), "tried_normalizations": made.read(TRIED)}
    report |= {name: made.read(f"{name}.json") for name in ("calibration", "simulation", "health", "sensitivity")}
    return to_bytes(report)


def _stages(plan: BuildPlan, sources: Sources, runner: StageRunner, *, labels: tuple[str, ...] | None) -> _Made:
    """The stages in their order; each names the options it reads and the stages it stands on."""
    checked = _checked_images(plan, sources, runner)
    network = _float_network(plan, sources, runner, checked, classes=len(labels) if labels else None)
    names = labels or tuple(str(number) for number in range(Float.of(network).facts.classes))
    run = Run(plan=plan, sources=sources, runner=runner, network=network, checked=checked, labels=names)
    made = artifacts(run)
    judged = _judged(run, made.stages) if plan.is_judged else {}
    return _Made(
        run=run,
        artifacts={name: record.files[name] for name, record in made.stages.items()},
        golden=_golden(run, made.stages).files,
        results={**network.files, **judged, **made.found},
    )


def _judged(run: Run, artifacts: Mapping[str, StageRecord]) -> Mapping[str, Path]:
    """What the artifacts do beside the float network: files by name."""
    plan, sources = run.plan, run.sources
    measured = run.runner.run(
        "verify",
        {"images": sources.fingerprints, "threads": plan.threads, "artifacts": sorted(artifacts), "seed": plan.seed},
        (run.network, *run.checked, *artifacts.values()),
        lambda _: _heavy().measured_file(
            plan,
            run.source,
            [record.files[name] for name, record in artifacts.items()],
            sources.test,
            labels=run.labels,
            is_labelled=sources.is_labelled,
            progress=run.runner.progress,
        ),
    )
    return {**measured.files, **_tried_normalizations(run)}


def _golden(run: Run, artifacts: Mapping[str, StageRecord]) -> StageRecord:
    """A few images and what each artifact answers, for the tests of those who use it."""
    plan, sources = run.plan, run.sources
    return run.runner.run(
        "golden",
        {
            "images": sources.golden_fingerprint or sources.fingerprints,
            "artifacts": sorted(artifacts),
            "seed": plan.seed,
            **run.form,
        },
        (run.network, *run.checked, *artifacts.values()),
        lambda _: _golden_stage()(
            plan,
            run.source,
            [record.files[name] for name, record in artifacts.items()],
            sources.golden,
            labels=run.labels,
            is_labelled=sources.is_golden_labelled,
        ),
    )


def _checked_images(plan: BuildPlan, sources: Sources, runner: StageRunner) -> tuple[StageRecord, ...]:
    """Decodes every image file once, before any work: a damaged one must not end a run that is hours old."""
    if not sources.has_files:
        return ()
    # Findings name images by their place in a set: what decides the sets decides them too.
    options = {"images": sources.fingerprints, "seed": plan.seed, "origin": type(plan.origin).__name__}
    record = runner.run("check-images", options, (), lambda _: sources.look())
    sources.leave_out(record.files[FINDINGS])
    return (record,)


def _float_network(
    plan: BuildPlan, sources: Sources, runner: StageRunner, checked: tuple[StageRecord, ...], *, classes: int | None
) -> StageRecord:
    """The float network, trained here or read from a file."""
    options = {"crop": plan.crop_fraction, "normalization": plan.normalization, "seed": plan.seed}
    match plan.origin:
        case Trained() as trained:
            weights = path_hash(trained.weights) if trained.weights else None
            learned = {"spec": trained.spec, "epochs": trained.epochs, "weights": weights, "data": sources.fingerprints}
            return runner.run(
                "train",
                {**options, **learned},
                checked,
                lambda session: _origins().trained_network(
                    plan,
                    trained,
                    sources.train,
                    validation=sources.validation,
                    is_photos=sources.is_photos,
                    session=session,
                    on_step=runner.progress.step,
                ),
            )
        case Stored() as stored:
            read = {"spec": stored.spec, "weights": path_hash(stored.weights)}
            return runner.run("weights", {**options, **read}, (), lambda _: _origins().stored_network(plan, stored))
        case Foreign() as foreign:
            read = {"model": path_hash(foreign.model), "px": foreign.resolution_px, "trust": foreign.trust}
            record = runner.run(
                "import",
                {**options, **read},
                (),
                lambda _: _origins().foreign_network(plan, foreign, classes=classes),
            )
            _require_classes(record, foreign.model, classes)
            return record


def _require_classes(record: StageRecord, model: Path, classes: int | None) -> None:
    found = Float.of(record).facts.classes
    if classes is not None and found != classes:
        raise DataError(
            f"{model} must give a score for each class of the data, got {found} scores for {classes} classes"
        )


def _tried_normalizations(run: Run) -> Mapping[str, Path]:
    """Where nobody said what somebody's model expects, how well each convention does."""
    plan, sources = run.plan, run.sources
    is_assumed = plan.normalization is None and run.source.facts.preprocess.normalization == MOBILENET
    if not (isinstance(plan.origin, Foreign) and is_assumed and sources.is_labelled):
        return {}
    record = run.runner.run(
        "normalizations",
        {"images": sources.fingerprints, "seed": plan.seed},
        (run.network,),
        lambda _: _heavy().tried_file(plan, run.source, sources.test),
    )
    return record.files


def _parameters(plan: BuildPlan) -> int:
    """About how many weights the network has."""
    if isinstance(plan.origin, Foreign):
        files = [plan.origin.model, *plan.origin.model.rglob("*")]
        return sum(file.stat().st_size for file in files if file.is_file()) // _BYTES_PER_PARAMETER
    return cost(plan.origin.spec).parameters


def _origins() -> Any:
    """The makers of float networks, imported when one is needed."""
    from mbexport import origins

    return origins


def _golden_stage() -> Any:
    """What makes golden vectors, imported when they are: runtimes are loaded, TensorFlow is not."""
    from mbexport.golden_stage import golden_stage

    return golden_stage


def _heavy() -> Any:
    """The stages, imported when the first one runs: TensorFlow takes seconds to load."""
    from mbexport import stages

    return stages
