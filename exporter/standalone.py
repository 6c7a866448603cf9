"""Turns artifact files, made here or elsewhere, into a report: what `mbexport verify` and `bench` do."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.fingerprint import library_versions
from mbexport.latency.interleaved import measure, ratio_of_medians, summarize
from mbexport.models.data import Data
from mbexport.models.preprocess import Normalization, Pixels, Preprocess
from mbexport.models.readable import Findings, Sifted, sift
from mbexport.plan import DIGITS_CROP, PHOTO_CROP
from mbexport.progress import Progress
from mbexport.report import (
    Json,
    latency_json,
    machine,
    measured_json,
    preprocess_json,
    ratio_json,
    report_json,
    to_bytes,
    unreadable_json,
)
from mbexport.runtimes.opening import open_runner
from mbexport.runtimes.runner import Runner
from mbexport.verdict.comparison import Reference, raw_outputs
from mbexport.verdict.gates import GATES, TINY_SPEEDUP, judge, size_limit
from mbexport.verdict.measure import Measurements, gate_values, measure_all, read_artifact, require_different_names
from mbexport.workdir import Workdir

_TINY_MS: Final = 0.3  # below, starting each op outweighs what integers save


def verify_files(
    files: Sequence[Path],
    reference: Path | None,
    data: Data,
    *,
    crop_fraction: float | None,
    normalization: Normalization,
    max_bad: float,
    limits: Mapping[str, float],
    seed: int,
    threads: int,
    out: Path | None,
    progress: Progress,
) -> Json:
    """The report on `files`, compared with `reference` or else with the first fp32 file among them.

    Raises `DataError` for a file or an image that cannot be used, before anything is measured.
    """
    with Workdir.open(out) if out is not None else nullcontext() as workdir:
        judge_by = _reference(files, reference, threads)
        if crop_fraction is None:
            crop_fraction = PHOTO_CROP if data.is_photos else DIGITS_CROP
        preprocess = Preprocess(
            resolution_px=judge_by.resolution_px,
            crop_fraction=crop_fraction,
            channels=judge_by.channels,
            normalization=normalization,
        )
        sifted = _readable(data, seed, max_bad=max_bad)
        progress.start("verify")
        found = measure_all(
            files,
            sifted.sets[0],
            preprocess,
            reference=_scores_of(judge_by, preprocess),
            classes=judge_by.classes,
            threads=threads,
            progress=progress,
        )
        gates = judge(gate_values(found), limits, defaults=_default_limits(found))
        content = to_bytes(report_json(measured_json(found), gates, _about(judge_by, data, preprocess, sifted)))
        if workdir is not None:
            workdir.write("report.json", content)
    loaded: Json = json.loads(content)
    return loaded


def _scores_of(runner: Runner, preprocess: Preprocess) -> Reference:
    def scores(pixels: Pixels) -> NDArray[np.float32]:
        return runner.scores(raw_outputs(runner, pixels, preprocess))

    return scores


def _default_limits(found: Measurements) -> dict[str, float]:
    """Limits that depend on the network, of which nothing is known but its fp32 files."""
    fp32 = [entry for entry in found.artifacts if entry.artifact.precision is Precision.FP32]
    if not fp32:
        return {}
    is_tiny = min(entry.latency.p50_ms for entry in fp32) < _TINY_MS
    return {
        "size_ratio": size_limit(max(entry.artifact.size_bytes for entry in fp32)),
        "int8_speedup": TINY_SPEEDUP if is_tiny else GATES["int8_speedup"].limit,
    }


def bench_files(files: Sequence[Path], *, threads: int, runs: int, warmup: int, progress: Progress) -> Json:
    """Latencies of `files`, interleaved, and the ratio of each to the first."""
    runners = [open_runner(path, threads=threads) for path in files]
    require_different_names(runners)
    names = [runner.name for runner in runners]
    rng = np.random.default_rng(0)
    feeds = {}
    for runner in runners:
        preprocess = Preprocess(resolution_px=runner.resolution_px, channels=runner.channels)
        pixels = rng.integers(0, 256, (runner.batch, *preprocess.shape), dtype=np.uint8)
        feeds[runner.name] = runner.prepare(pixels, preprocess)
    progress.start("bench")
    times = measure(runners, feeds, runs=runs, warmup=warmup, on_step=progress.step)
    return {
        "schema": 1,
        "threads": threads,
        "artifacts": [
            {
                "file": runner.name,
                "runtime": runner.runtime,
                "precision": read_artifact(runner).precision.value,
                "size_bytes": runner.path.stat().st_size,
                "latency_ms": latency_json(summarize(times[runner.name])),
            }
            for runner in runners
        ],
        "ratios": [ratio_json(ratio_of_medians(times, name, names[0])) for name in names[1:]],
        "machine": machine(),
    }


def _about(reference: Runner, data: Data, preprocess: Preprocess, sifted: Sifted) -> dict[str, Json]:
    return {
        "tool": {"name": "mbexport", "libraries": library_versions()},
        "model": {
            "reference": reference.name,
            "resolution_px": reference.resolution_px,
            "classes": reference.classes,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            **preprocess_json(preprocess),
            "unreadable": unreadable_json(sifted.bad),
        },
    }


def _reference(files: Sequence[Path], reference: Path | None, threads: int) -> Runner:
    """What was asked for, or the first fp32 file; every file is opened, so that a damaged one is found at once."""
    runners = [open_runner(path, threads=threads) for path in files]
    if reference is not None:
        return open_runner(reference, threads=threads)
    for runner in runners:
        if read_artifact(runner).precision is Precision.FP32:
            return runner
    raise DataError("a comparison must have a reference: give --reference or an fp32 file, got int8 files only")


def _readable(data: Data, seed: int, *, max_bad: float) -> Sifted:
    images = data.evaluation(seed)
    findings = None if data.is_photos else Findings(unreadable=({},))  # digits lie in no files of their own
    return sift([images], max_bad=max_bad, findings=findings)
