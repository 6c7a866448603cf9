"""Turns loaded artifacts and labelled images into accuracies, agreements and distances.

Answers are compared as the runtimes give them: the class with the highest score, the lowest index where several
tie, the same way for every artifact.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.runtimes.runner import Runner

_Z95: Final = 1.959963984540054  # the 97.5 % point of the normal distribution
_TOP: Final = 5

Reference = Callable[[Pixels], NDArray[np.float32]]  # uint8 images (n, px, px, channels) to scores (n, classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How one artifact, or the reference, answered: fractions 0..1 over `samples` images.

    `agreement` and `max_abs_error` compare with the reference; `distinct_outputs` counts different score vectors.
    """

    name: str
    samples: int
    top1: float
    top1_ci95: tuple[float, float]
    top5: float
    agreement: float
    max_abs_error: float
    distinct_outputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two artifacts with the same output type, code by code: `max_lsb` is the largest distance in codes."""

    a: str
    b: str
    agreement: float
    max_lsb: int
    differing_fraction: float


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What is kept of one artifact's answers while the images stream by: a few numbers an image."""

    answers: list[NDArray[np.int64]] = field(default_factory=list)
    top5_hits: int = 0
    max_abs_error: float = 0.0
    seen: set[bytes] = field(default_factory=set)

    def add(self, scores: NDArray[np.float32], labels: NDArray[np.int64], expected: NDArray[np.float32]) -> None:
        self.answers.append(scores.argmax(axis=1))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]
        self.top5_hits += int((best == labels[:, None]).any(axis=1).sum())
        error = float(np.abs(scores.astype(np.float64) - expected).max())
        # max() would drop a NaN that comes second.
        self.max_abs_error = error if math.isnan(error) else max(self.max_abs_error, error)
        self.seen.update(row.tobytes() for row in scores)


@dataclass(slots=True, kw_only=True)
class _PairTally:
    max_lsb: int = 0
    differing: int = 0
    compared: int = 0

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        distance = np.abs(a.astype(np.int64) - b.astype(np.int64))
        self.max_lsb = max(self.max_lsb, int(distance.max()))
        self.differing += int((distance > 0).sum())
        self.compared += distance.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verification found: the reference first, then each artifact in the order given, then the twins."""

    reference: Accuracy
    artifacts: tuple[Accuracy, ...]
    pairs: tuple[Pair, ...]
    classes_seen: int


def wilson_interval(successes: int, samples: int) -> tuple[float, float]:
    """The 95 % confidence interval of a fraction (Wilson 1927, "Probable inference", eq. for the score interval).

    With no samples nothing is known: (0, 1).
    """
    if samples == 0:
        return 0.0, 1.0
    p, z2 = successes / samples, _Z95**2
    centre = (p + z2 / (2 * samples)) / (1 + z2 / samples)
    half = _Z95 / (1 + z2 / samples) * math.sqrt(p * (1 - p) / samples + z2 / (4 * samples**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def verify(
    runners: Sequence[Runner],
    batches: Iterable[Pixels],
    labels: NDArray[np.int64],
    *,
    reference: Reference,
    preprocess: Preprocess,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> Verification:
    """Feeds the same uint8 images to every runner and to the reference, and compares the answers.

    `labels` (int64, one an image) are in the order of `batches`.
    """
    tallies = {runner.name: _Tally() for runner in runners}
    twins = _twins(runners)
    pair_tallies = {names: _PairTally() for names in twins}
    baseline = _Tally()
    done = 0
    for pixels in batches:
        truth = labels[done : done + len(pixels)]
        expected = reference(pixels)
        baseline.add(expected, truth, expected)
        raw = {runner.name: raw_outputs(runner, pixels, preprocess) for runner in runners}
        for runner in runners:
            tallies[runner.name].add(runner.scores(raw[runner.name]), truth, expected)
        for a, b in twins:
            pair_tallies[a, b].add(raw[a], raw[b])
        done += len(pixels)
        on_step(done, len(labels), "images")
    answers = {name: _joined(tally) for name, tally in tallies.items()}
    return Verification(
        reference=_accuracy("reference", baseline, labels[:done], _joined(baseline)),
        artifacts=tuple(_accuracy(name, tally, labels[:done], _joined(baseline)) for name, tally in tallies.items()),
        pairs=tuple(_pair(a, b, tally, answers[a], answers[b]) for (a, b), tally in pair_tallies.items()),
        classes_seen=len(np.unique(labels[:done])),
    )


def raw_outputs(runner: Runner, pixels: Pixels, preprocess: Preprocess) -> NDArray[Any]:
    """The raw outputs (n, classes) for uint8 images (n, px, px, channels), one inference a batch.

    The last batch is filled up with the last image.
    """
    missing = -len(pixels) % runner.batch
    feeds = runner.prepare(np.concatenate([pixels, pixels[-1:].repeat(missing, axis=0)]), preprocess)
    batches = [runner.invoke(feeds[i : i + runner.batch]) for i in range(0, len(feeds), runner.batch)]
    return np.concatenate(batches)[: len(pixels)]


def _twins(runners: Sequence[Runner]) -> list[tuple[str, str]]:
    """Pairs of artifacts whose outputs are codes of one type and one scale, so that a distance in codes has a sense."""
    integer = [runner for runner in runners if runner.output.affine is not None]
    return [
        (a.name, b.name)
        for i, a in enumerate(integer)
        for b in integer[i + 1 :]
        if (a.output.dtype, a.output.affine, a.classes) == (b.output.dtype, b.output.affine, b.classes)
    ]


def _joined(tally: _Tally) -> NDArray[np.int64]:
    return np.concatenate(tally.answers) if tally.answers else np.zeros(0, np.int64)


def _accuracy(name: str, tally: _Tally, labels: NDArray[np.int64], reference: NDArray[np.int64]) -> Accuracy:
    answers, samples = _joined(tally), len(labels)
    hits = int((answers == labels).sum())
    return Accuracy(
        name=name,
        samples=samples,
        top1=_fraction(hits, samples),
        top1_ci95=wilson_interval(hits, samples),
        top5=_fraction(tally.top5_hits, samples),
        agreement=_fraction(int((answers == reference).sum()), samples),
        max_abs_error=tally.max_abs_error,
        distinct_outputs=len(tally.seen),
    )


def _pair(a: str, b: str, tally: _PairTally, answers_a: NDArray[np.int64], answers_b: NDArray[np.int64]) -> Pair:
    return Pair(
        a=a,
        b=b,
        agreement=_fraction(int((answers_a == answers_b).sum()), len(answers_a)),
        max_lsb=tally.max_lsb,
        differing_fraction=_fraction(tally.differing, tally.compared),
    )


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else math.nan  # a NaN fails every gate
