"""Time int8 artifacts with layers in float beside the same networks all in integers."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mbexport.artifact import Precision
from mbexport.pipeline.context import Context
from mbexport.pipeline.exports import Export, delivered
from mbexport.pipeline.stage import Files, Options
from mbexport.pipeline.stage_files import KEPT
from mbexport.pipeline.stages.export import converted

if TYPE_CHECKING:
    from mbexport.latency.interleaved import Ratio

_ALL: Final = "all-"  # before the name of the file that has every layer in integers


def is_slowdown_timed(run: Context) -> bool:
    """Whether layers stay in float, and files are timed."""
    return run.plan.is_judged and run.plan.latency and bool(run.plan.keep.texts)


def slowdown_options(run: Context) -> Options:
    """What is timed."""
    return {"artifacts": sorted(run.artifacts), "seed": run.plan.seed}


def time_slowdowns(run: Context) -> Files:
    """How many times as long each int8 artifact takes on one thread as the same network all in integers.

    Layers that are all integers are made for this alone, with weights rounded to the nearest code: speed does not
    depend on their values.
    """
    from mbexport.latency.performance import ratio_json
    from mbexport.report.content import to_bytes

    timed = [each for each in delivered(run.plan) if each.precision is Precision.INT8 and not each.is_raw]
    with tempfile.TemporaryDirectory() as folder:
        others = {each: _all_integers(run, each, Path(folder)) for each in timed}
        ratios = [ratio_json(each) for each in _ratios(run, others)]
    rows = [
        {"file": ratio["a"], **{key: ratio[key] for key in ("latency_ratio", "latency_ratio_ci95")}} for ratio in ratios
    ]
    return {KEPT: to_bytes({"slowdowns": rows})}


def _all_integers(run: Context, made: Export, folder: Path) -> Path:
    """The artifact with every layer in integers, in that folder."""
    source = b"" if made.source is None else _all_integers(run, made.source, folder).read_bytes()
    path = folder / f"{_ALL}{made.name(run.plan.name)}"
    if not path.exists():
        path.write_bytes(converted(run, made, source=source, keeps_floats=False))
    return path


def _ratios(run: Context, others: dict[Export, Path]) -> "list[Ratio]":
    """Of each artifact to the other file of it."""
    import numpy as np

    from mbexport.formats.registry import open_runner
    from mbexport.latency.feeds import random_feed
    from mbexport.latency.sittings import time_artifacts

    files = {made.name(run.plan.name): run.artifact(made) for made in others}
    files |= {path.name: path for path in others.values()}
    timings = time_artifacts(
        files,
        {name: random_feed(open_runner(path), np.random.default_rng(run.plan.seed)) for name, path in files.items()},
        seed=run.plan.seed,
        on_step=run.progress.step,
    )
    return [timings.ratio(made.name(run.plan.name), path.name) for made, path in others.items()]
