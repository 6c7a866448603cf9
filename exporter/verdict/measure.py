"""Turns artifact files and images into everything that a report says of them: the work of `verify` and of a build."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.artifact import Artifact, Precision
from mbexport.errors import DataError
from mbexport.latency.interleaved import Latency, Ratio, measure, ratio_of_medians, summarize
from mbexport.models.data import ImageSet, iter_pixels
from mbexport.models.preprocess import Preprocess
from mbexport.progress import Progress
from mbexport.runtimes.kernels import Kernels, kernels_of
from mbexport.runtimes.opening import format_of, open_runner
from mbexport.runtimes.runner import Runner
from mbexport.verdict.comparison import Accuracy, Pair, Reference, Verification, verify
from mbexport.workdir import sha256_of

LATENCY_RUNS: Final = 100
LATENCY_WARMUP: Final = 10
_NO_LABEL: Final = -1  # the answer to no image


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One artifact with all that was measured of it."""

    artifact: Artifact
    runtime: str
    accuracy: Accuracy
    latency: Latency
    kernels: Kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPair:
    """Two int8 artifacts: how far their answers and their speeds are apart."""

    pair: Pair
    latency: Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything measured in one run. `speedups` has fp32 over int8 for each format that has both.

    Where the images have no labels, accuracies are NaN and no gate judges them.
    """

    reference: Accuracy
    artifacts: tuple[Measured, ...]
    pairs: tuple[MeasuredPair, ...]
    speedups: tuple[Ratio, ...]
    chance: float
    is_labelled: bool = True


def read_artifact(runner: Runner) -> Artifact:
    """What the file itself says it is, whatever it is called."""
    return Artifact(
        format=format_of(runner.path),
        precision=runner.precision,
        path=runner.path,
        sha256=sha256_of(runner.path),
        size_bytes=runner.path.stat().st_size,
    )


def measure_all(
    paths: Sequence[Path],
    images: ImageSet,
    preprocess: Preprocess,
    *,
    reference: Reference,
    classes: int,
    threads: int,
    progress: Progress,
    is_labelled: bool = True,
) -> Measurements:
    """Verifies and times every artifact on the same images, against a reference that gives `classes` scores.

    Raises `DataError` if one does not fit them.
    """
    if not is_labelled:
        images = replace(images, labels=np.full(len(images), _NO_LABEL))
    runners = [open_runner(path, threads=threads) for path in paths]
    require_different_names(runners)
    _require_fit(runners, images, preprocess, classes)
    kernels = [kernels_of(runner) for runner in runners]
    verification = verify(
        runners,
        iter_pixels(images, preprocess),
        images.labels,
        reference=reference,
        preprocess=preprocess,
        on_step=progress.step,
    )
    first = next(iter_pixels(images.subset(np.zeros(1, np.int64)), preprocess))
    times = measure(
        runners,
        {runner.name: runner.prepare(first.repeat(runner.batch, axis=0), preprocess) for runner in runners},
        runs=LATENCY_RUNS,
        warmup=LATENCY_WARMUP,
        on_step=progress.step,
    )
    if is_labelled:
        return _collected(runners, kernels, verification, times, chance=_chance(images.labels))
    found = _collected(runners, kernels, _unlabelled(verification), times, chance=math.nan)
    return replace(found, is_labelled=False)


def _unlabelled(verification: Verification) -> Verification:
    """The same comparison without the accuracies, which only labels can give."""

    def without(accuracy: Accuracy) -> Accuracy:
        return replace(accuracy, top1=math.nan, top1_ci95=(math.nan, math.nan), top5=math.nan)

    artifacts = tuple(map(without, verification.artifacts))
    return replace(verification, reference=without(verification.reference), artifacts=artifacts)


def _collected(
    runners: Sequence[Runner],
    kernels: Sequence[Kernels],
    verification: Verification,
    times: Mapping[str, NDArray[np.float64]],
    *,
    chance: float,
) -> Measurements:
    measured = tuple(
        Measured(
            artifact=read_artifact(runner),
            runtime=runner.runtime,
            accuracy=accuracy,
            latency=summarize(times[runner.name]),
            kernels=kernel,
        )
        for runner, kernel, accuracy in zip(runners, kernels, verification.artifacts, strict=True)
    )
    return Measurements(
        reference=verification.reference,
        artifacts=measured,
        pairs=tuple(
            MeasuredPair(pair=pair, latency=ratio_of_medians(times, pair.a, pair.b)) for pair in verification.pairs
        ),
        speedups=tuple(
            ratio_of_medians(times, fp32.artifact.path.name, int8.artifact.path.name)
            for fp32, int8 in _same_format(measured)
        ),
        chance=chance,
    )


def gate_values(found: Measurements) -> dict[str, float]:
    """The value of each gate that these measurements have; the worst artifact speaks for all."""
    int8 = [entry for entry in found.artifacts if entry.artifact.precision is Precision.INT8]
    fp32 = [entry for entry in found.artifacts if entry.artifact.precision is Precision.FP32]
    reduced = [entry for entry in found.artifacts if entry.artifact.precision is not Precision.FP32]
    values: dict[str, float] = {"samples": found.reference.samples}
    if found.artifacts:
        values["distinct_outputs"] = min(entry.accuracy.distinct_outputs for entry in found.artifacts)
    if found.artifacts and found.is_labelled:
        values["above_chance"] = found.reference.top1_ci95[0] / found.chance if found.chance else math.nan
    if fp32:
        values["fp32_error"] = _worst([entry.accuracy.max_abs_error for entry in fp32])
    if reduced and found.is_labelled:
        values["top1_drop"] = _worst([found.reference.top1 - entry.accuracy.top1 for entry in reduced])
    if reduced:
        values["agreement"] = -_worst([-entry.accuracy.agreement for entry in reduced])
    if int8:
        values["int8_convs"] = -_worst([-_integer_share(entry.kernels) for entry in int8])
    twins = [pair.pair.agreement for pair in found.pairs if _formats_differ(found, pair.pair)]
    if twins:
        values["twin_agreement"] = -_worst([-agreement for agreement in twins])
    if found.speedups:
        values["int8_speedup"] = -_worst([-ratio.ci95[1] for ratio in found.speedups])
        values["size_ratio"] = _worst(
            [b.artifact.size_bytes / a.artifact.size_bytes for a, b in _same_format(found.artifacts)]
        )
    return values


def _worst(values: list[float]) -> float:
    """The largest value; NaN if one of them is."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)


def _integer_share(kernels: Kernels) -> float:
    convolutions = kernels.int8_convs + kernels.float_convs
    return kernels.int8_convs / convolutions if convolutions else math.nan


def _same_format(measured: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Every fp32 artifact with every int8 artifact of its format."""
    return [
        (fp32, int8)
        for fp32 in measured
        for int8 in measured
        if (fp32.artifact.precision, int8.artifact.precision) == (Precision.FP32, Precision.INT8)
        and fp32.artifact.format is int8.artifact.format
    ]


def _formats_differ(found: Measurements, pair: Pair) -> bool:
    formats = {entry.artifact.path.name: entry.artifact.format for entry in found.artifacts}
    return formats[pair.a] is not formats[pair.b]


def _chance(labels: NDArray[np.int64]) -> float:
    """The top-1 of always answering the most frequent class."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else math.nan


def require_different_names(runners: Sequence[Runner]) -> None:
    """Raises `DataError` if two artifacts have one file name: results are known by it."""
    seen: set[str] = set()
    for runner in runners:
        if runner.name in seen:
            raise DataError(f"artifacts must have different file names, got {runner.name} twice")
        seen.add(runner.name)


def _require_fit(runners: Sequence[Runner], images: ImageSet, preprocess: Preprocess, classes: int) -> None:
    for runner in runners:
        if runner.resolution_px != preprocess.resolution_px:
            raise DataError(
                f"{runner.path}: all artifacts must take one resolution, got {runner.resolution_px} px beside "
                f"{preprocess.resolution_px} px"
            )
        if runner.channels != preprocess.channels:
            raise DataError(
                f"{runner.path}: all artifacts must take images of one kind, got {runner.channels} channel(s) beside "
                f"{preprocess.channels}"
            )
        if runner.classes != classes:
            raise DataError(
                f"{runner.path}: all artifacts must have one number of classes, got {runner.classes} beside {classes}"
            )
    if classes <= images.labels.max(initial=0):
        raise DataError(
            f"there must be a score for each class of the data, got {classes} scores for "
            f"{images.labels.max(initial=0) + 1} classes"
        )
