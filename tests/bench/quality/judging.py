"""Judge the files of all quantizers: how often each is right, agrees with float, and how fast it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from peers.making import Made

from mbexport.errors import DataError
from mbexport.formats.classifier import Classifier
from mbexport.formats.registry import open_runner
from mbexport.formats.runner import Runner
from mbexport.latency.interleaved import Ratio, measure, ratio_of_medians, summarize
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verification.statistics import wilson_interval

_THREADS: Final = 1
Found = TypeVar("Found")  # what a judge finds out about a file: `Answers` of a classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How often a file is right, with its 95 % interval, and how near it is to float: fractions 0..1.

    `changed` of the answers are not float's; `moved` is the probability that is given to another class than in float,
    on average over the images: half the sum of all differences.
    """

    top1: float
    top1_ci95: tuple[float, float]
    agreement: float
    changed: int
    moved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[Found]):
    """One quantizer's file with all that was measured of it; nothing if there is none.

    `ratio` compares its median time with that of the file which its runtime's own quantizer made.
    """

    made: Made
    answers: Found | None = None
    size_bytes: int = 0
    p50_ms: float = float("nan")
    ratio: Ratio | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often each file is timed; the first `warmup` times are not counted."""

    runs: int
    warmup: int


def image_counts(given: Path) -> tuple[int, int]:
    """How many images there are to calibrate on and to evaluate on."""
    return len(np.load(given / "calibration.npy", mmap_mode="r")), len(np.load(given / "labels.npy"))


def float_answers(given: Path) -> Answers:
    """Those of the Keras network itself."""
    return _judged(np.load(given / "scores.npy"), given)


def judge(
    rows: Sequence[Made], given: dict[float, Path], preprocess: Preprocess, rounds: Rounds, baselines: dict[str, str]
) -> list[Row[Answers]]:
    """Every file on the evaluation images of its alpha, then all of them timed in one interleaved run.

    `given` has the folder of each alpha, `baselines` for each suffix the name of the row that times are compared to.
    """
    pixels = {alpha: np.load(folder / "evaluation.npy") for alpha, folder in given.items()}
    first = next(iter(pixels.values()))[:1]

    def look(made: Made, runner: Runner) -> tuple[Answers, NDArray[Any]]:
        answers = _answers(runner, pixels[made.alpha], preprocess, given[made.alpha])
        return answers, feed(runner, first, preprocess)

    return judged_rows(rows, look, rounds, baselines)


def judged_rows(
    rows: Sequence[Made],
    look: Callable[[Made, Runner], tuple[Found, NDArray[Any]]],
    rounds: Rounds,
    baselines: dict[str, str],
) -> list[Row[Found]]:
    """Every file opened and looked at, one after the other, then all of them timed in one interleaved run.

    `look` gives what it finds out about an opened file, and the input that the file is timed with. A file that is not
    there, cannot be opened or for which it raises `DataError` is a row with the reason. `baselines` has for each suffix
    the name of the row that times are compared to.
    """
    judged: list[Row[Found]] = []
    runners, inputs = {}, {}
    for made in rows:
        try:
            if made.path is None:
                raise DataError(made.reason)
            runner = open_runner(made.path, threads=_THREADS)
            answers, inputs[runner.name] = look(made, runner)
        except DataError as error:
            judged.append(Row(made=replace(made, path=None, reason=str(error))))
            continue
        runners[runner.name] = runner
        judged.append(Row(made=made, answers=answers, size_bytes=runner.path.stat().st_size))
    times = measure(list(runners.values()), inputs, runs=rounds.runs, warmup=rounds.warmup)
    return [_timed(row, judged, times, baselines) for row in judged]


def _answers(runner: Runner, pixels: Pixels, preprocess: Preprocess, given: Path) -> Answers:
    classifier = Classifier(runner)
    raw = [classifier.invoke(feed(runner, pixels[i : i + 1], preprocess)) for i in range(len(pixels))]
    return _judged(classifier.scores(np.concatenate(raw)), given)


def feed(runner: Runner, image: Pixels, preprocess: Preprocess) -> NDArray[Any]:
    """What the file wants for one uint8 image (1, px, px, 3): its bytes, or float's own input.

    Codes with a scale that the quantizer chose are not the camera's bytes: they get float's input in that scale.
    `Runner.prepare` would hand both the bytes, which is right for our files only.
    """
    if runner.input.dtype == "float32":
        return preprocess.normalize(image)
    if runner.input.dtype == "int8" and runner.input.affine:
        return runner.input.affine.quantize(preprocess.normalize(image)).astype(np.int8)
    return runner.prepare(image, preprocess)


def _judged(scores: NDArray[np.float32], given: Path) -> Answers:
    """Right are those of images with a label, which come first; all are compared with float's."""
    labels, reference = np.load(given / "labels.npy"), np.load(given / "scores.npy")
    answers = scores.argmax(axis=1)
    right, same = answers[: len(labels)] == labels, answers == reference.argmax(axis=1)
    return Answers(
        top1=float(right.mean()),
        top1_ci95=wilson_interval(int(right.sum()), len(right)),
        agreement=float(same.mean()),
        changed=int((~same).sum()),
        moved=float(np.abs(scores - reference).sum(axis=1).mean() / 2),
    )


def _timed(
    row: Row[Found], rows: Sequence[Row[Found]], times: dict[str, NDArray[Any]], baselines: dict[str, str]
) -> Row[Found]:
    if row.made.path is None:
        return row
    name = row.made.path.name
    timed = replace(row, p50_ms=summarize(times[name]).p50_ms)
    for other in rows:
        baseline, path = other.made, other.made.path
        same = (baseline.alpha, baseline.suffix) == (row.made.alpha, row.made.suffix)
        if same and path is not None and baseline.name == baselines[baseline.suffix]:
            return replace(timed, ratio=ratio_of_medians(times, name, path.name))
    return timed
