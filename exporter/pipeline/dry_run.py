"""Find what a run would do, and do none of it: its network, its stages, and the files that it would write."""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mbexport.calibration.ranges.range_file import read_ranges
from mbexport.errors import OutputError
from mbexport.models.architectures import architecture_of
from mbexport.models.data.boxes.problems import BoxProblems
from mbexport.models.data.open import DataSet, LeftOut
from mbexport.models.resolution import Resolution
from mbexport.pipeline.build import STAGES
from mbexport.pipeline.cache import key_of
from mbexport.pipeline.context import NETWORK, Context
from mbexport.pipeline.deliver import delivered_names
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.output_place import require_apart
from mbexport.pipeline.plan import BuildPlan, Foreign, Trained
from mbexport.pipeline.publish import require_room
from mbexport.pipeline.shared_cache import SharedCache
from mbexport.pipeline.stage import Stage
from mbexport.progress import Silent
from mbexport.workdir import StageRecord, Workdir


class Status(StrEnum):
    """Whether a stage would run."""

    REUSED = "reused"
    TO_RUN = "to run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """One stage of a run; `seconds` is the time that it took an earlier run, whose result would be reused."""

    name: str
    status: Status
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNetwork:
    """What is known of the network before anything has run: None where only the imported model tells."""

    alpha: float | None = None
    resolution: Resolution | None = None
    classes: int | None = None
    parameters: int | None = None
    mult_adds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run that has not happened.

    `downloads` are files of weights that are not there yet. `files` lie in the plan's output folder; names that end in
    / are folders. Of a detector, `anchors` are the reasons of their choice, a sentence each, and `box_problems` the
    boxes of its data that cannot be used.
    """

    plan: BuildPlan
    network: PlannedNetwork
    downloads: tuple[Path, ...]
    stages: tuple[PlannedStage, ...]
    files: tuple[str, ...]
    left_out: LeftOut
    anchors: tuple[str, ...] = ()
    box_problems: BoxProblems = field(default_factory=BoxProblems)


def planned(
    plan: BuildPlan, data: DataSet | None, *, class_names: tuple[str, ...] | None = None, is_signed: bool = False
) -> PlannedRun:
    """What `pipeline.build.run` would do with the same arguments; nothing is written.

    No image is decoded but those for golden vectors. Raises `InputError` for whatever a run would refuse and that can
    be found out without its stages.
    """
    if plan.ranges:
        read_ranges(plan.ranges)
    require_apart(plan.out, data, (plan.calibration, plan.golden))
    _require_writable(plan.out)
    names = delivered_names(plan, is_signed=is_signed)
    run = Context(plan=plan, images=ImageSets(plan, data), progress=Silent(), data=data, class_names=class_names)
    downloads = _downloads(plan)
    missing = set(NETWORK) if downloads else set()  # whose results are not there to look up what stands on them
    workdir, stages = Workdir(plan.out), []
    cache = SharedCache(plan.cache) if plan.cache else None
    require_room(workdir, names, force=plan.force)
    for stage in STAGES:
        if not stage.is_wanted(run):
            continue
        record = None if {stage.name, *stage.upstream} & missing else _finished(stage, run, workdir, cache)
        if record is None:
            missing.add(stage.name)
            stages.append(PlannedStage(name=stage.name, status=Status.TO_RUN))
        else:
            run = run.after(stage.name, record)
            stage.check(run)
            stages.append(PlannedStage(name=stage.name, status=Status.REUSED, seconds=record.seconds))
    return PlannedRun(
        plan=plan,
        network=_network(run),
        downloads=downloads,
        stages=tuple(stages),
        files=tuple(names),
        left_out=run.images.left_out,
        anchors=plan.origin.anchors.reasons if isinstance(plan.origin, Trained) and plan.origin.anchors else (),
        box_problems=BoxProblems.joined(data.box_problems.values() if data else ()),
    )


def _downloads(plan: BuildPlan) -> tuple[Path, ...]:
    """The published weights that are not in the cache yet: a file that the user names is there."""
    weights = None if isinstance(plan.origin, Foreign) else plan.origin.weights
    return () if weights is None or weights.is_file() else (weights,)


def _finished(stage: Stage, run: Context, workdir: Workdir, cache: SharedCache | None) -> StageRecord | None:
    """What an earlier run left of the stage, if it may be reused."""
    if not run.plan.resume:
        return None
    key = key_of(stage.name, stage.options(run), run.upstream(stage.upstream))
    record = workdir.finished(stage.name, key)
    if record is not None or cache is None or not stage.is_shared:
        return record
    found = cache.find(stage.name, key)
    if found is None:
        return None
    files = {name: cache.path(sha256) for name, sha256 in found.files.items()}
    return StageRecord(key=key, files=files, seconds=float(found.fields["seconds"]))


def _network(run: Context) -> PlannedNetwork:
    plan = run.plan
    if run.upstream(NETWORK):
        facts = run.float.facts
        return PlannedNetwork(
            alpha=facts.alpha,
            resolution=facts.preprocess.resolution,
            classes=facts.classes,
            parameters=facts.parameters,
            mult_adds=facts.mult_adds,
        )
    if isinstance(plan.origin, Foreign):
        classes = len(run.known_labels) if run.known_labels else None
        return PlannedNetwork(resolution=plan.origin.resolution, classes=classes)
    spec = plan.origin.spec
    total = architecture_of(spec).cost(spec)
    return PlannedNetwork(
        alpha=spec.alpha,
        resolution=spec.resolution,
        classes=spec.classes,
        parameters=total.parameters,
        mult_adds=total.mult_adds,
    )


def _require_writable(out: Path) -> None:
    """Raises `OutputError` unless `out` is a folder that can be written to, or can be made one."""
    nearest = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"output folder {out} must be a folder that can be written to, got: {nearest}")
