"""Runs as stages see them, made by hand."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mbexport.pipeline.context import Context
from mbexport.pipeline.plan import BuildPlan
from mbexport.progress import Silent
from mbexport.workdir import StageRecord


def record(folder: Path, *names: str) -> StageRecord:
    """A finished stage that left these files in `folder`."""
    return StageRecord(key="by hand", files={name: folder / name for name in names}, seconds=0.0)


def context(
    plan: BuildPlan,
    *,
    images: Any = None,
    class_names: tuple[str, ...] | None = None,
    records: Mapping[str, StageRecord] | None = None,
) -> Context:
    """A run of `plan` without a data set; `images` stand in for its `ImageSets`, which has no contents otherwise."""
    return Context(
        plan=plan,
        images=images or SimpleNamespace(contents=dict),
        progress=Silent(),
        class_names=class_names,
        records=records or {},
    )
