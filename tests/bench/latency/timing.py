"""Time the files of one network: size, kernels and milliseconds, all interleaved in one process.

Every file runs once in each round, in a new random order (`mbexport.latency.interleaved`). Two runtimes in one process
need care with more than one thread: a pool of onnxruntime spins on for about a millisecond after its run, on the core
that the next file's second thread needs. On two cores with a little other work everything, LiteRT's files included,
took two to four times as long. `OnnxRunner` therefore ends the spinning with the run (`session.force_spinning_stop`),
as XNNPACK's pool does of itself; inside a run both spin as they do by default. What is left of one file for the next
are cold caches, for all alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.making import Made
from quality.judging import Rounds, feed

from mbexport.errors import DataError
from mbexport.formats.kernels import Kernels
from mbexport.formats.registry import kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.latency.interleaved import Ratio, measure, ratio_of_medians, summarize
from mbexport.models.preprocess import Pixels, Preprocess

Key = tuple[str, str]  # the name of a row, and its suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file with all that was measured of it; nothing if there is none."""

    made: Made
    size_bytes: int = 0
    kernels: Kernels | None = None
    p50_ms: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The rows of one network on `threads` threads; `times_ms` has the milliseconds of each round, by row."""

    title: str
    threads: int
    rows: tuple[Row, ...]
    times_ms: Mapping[Key, NDArray[np.float64]] = field(default_factory=dict)

    def find(self, name: str, suffix: str) -> Row | None:
        """The row of that name and suffix, if its file was measured."""
        found = (row for row in self.rows if (row.made.name, row.made.suffix) == (name, suffix))
        return next((row for row in found if row.made.path is not None), None)

    def ratio(self, a: Key, b: Key) -> Ratio | None:
        """The median time of row `a` over that of row `b`; none if one of them was not timed."""
        if a not in self.times_ms or b not in self.times_ms:
            return None
        labels = {" ".join(key): self.times_ms[key] for key in (a, b)}
        return ratio_of_medians(labels, " ".join(a), " ".join(b))


def timed(
    made: Sequence[Made], image: Pixels, preprocess: Preprocess, *, title: str, threads: int, rounds: Rounds
) -> Timed:
    """Every file loaded with `threads` threads, and timed on one uint8 image (1, px, px, 3) in interleaved rounds.

    A file that is not there, cannot be loaded or takes no such image is a row with its reason.
    """
    rows, runners, feeds = [], {}, {}
    for entry in made:
        try:
            runner, row = _loaded(entry, threads)
            feeds[runner.name] = feed(runner, image, preprocess)
            runner.invoke(feeds[runner.name])
        except DataError as error:
            rows.append(Row(made=replace(entry, path=None, reason=str(error))))
            continue
        runners[_key(entry)] = runner
        rows.append(row)
    times = measure(list(runners.values()), feeds, runs=rounds.runs, warmup=rounds.warmup)
    by_row = {key: times[runner.name] for key, runner in runners.items()}
    return Timed(title=title, threads=threads, rows=tuple(_with_median(row, by_row) for row in rows), times_ms=by_row)


def first_image(given: Path) -> Pixels:
    """The first of the evaluation images in the folder that `floats.py` wrote: uint8 (1, px, px, 3)."""
    images: Pixels = np.load(given / "evaluation.npy")[:1]
    return images


def _loaded(made: Made, threads: int) -> tuple[Runner, Row]:
    if made.path is None:
        raise DataError(made.reason)
    runner = open_runner(made.path, threads=threads)
    return runner, Row(made=made, size_bytes=made.path.stat().st_size, kernels=kernels_of(runner))


def _key(made: Made) -> Key:
    return made.name, made.suffix


def _with_median(row: Row, times_ms: Mapping[Key, NDArray[Any]]) -> Row:
    return replace(row, p50_ms=summarize(times_ms[_key(row.made)]).p50_ms) if row.made.path else row
