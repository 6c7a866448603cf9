"""Measure images per second in batches that a file may refuse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mbexport.errors import DataError
from mbexport.formats.loader import Bare
from mbexport.formats.registry import format_of, loaded_runtime
from mbexport.formats.runner import first_line
from mbexport.latency.interleaved import Latency, measure

BATCH: Final = 8
_RUNS: Final = 8
_WARMUP: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Images per second, `batch` at a time on `threads` threads; None, with a `reason`, where the file refuses them."""

    batch: int
    threads: int
    images_per_s: float | None
    reason: str | None = None


def throughput_of(latency: Latency, *, batch: int, threads: int) -> Throughput:
    """Convert the median latency of `batch` images to images per second."""
    return Throughput(batch=batch, threads=threads, images_per_s=batch * 1000 / latency.p50_ms)


def measure_throughput(
    files: Mapping[str, Path],
    *,
    batch: int = BATCH,
    threads: int = 1,
    runs: int = _RUNS,
    warmup: int = _WARMUP,
    seed: int = 0,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> dict[str, Throughput]:
    """Time `files`, by name, on batches of random numbers, interleaved; LiteRT resizes a file's input if it can.

    Raises `DataError` for a file that cannot be loaded at all.
    """
    loaded: list[Bare] = []
    throughputs: dict[str, Throughput] = {}
    for name, path in files.items():
        try:
            loaded.append(replace(_loaded(path, batch, threads), name=name))
        except _RefusedError as refused:
            throughputs[name] = Throughput(batch=batch, threads=threads, images_per_s=None, reason=str(refused))
    if loaded:
        feeds = {bare.name: bare.noise() for bare in loaded}
        times = measure(loaded, feeds, runs=runs, warmup=warmup, seed=seed, on_step=on_step)
        for name, values in times.items():
            rate = batch * 1000 / float(np.median(values))
            throughputs[name] = Throughput(batch=batch, threads=threads, images_per_s=rate)
    return {name: throughputs[name] for name in files}


class _RefusedError(Exception):
    """The file does not take the batch; the message says why."""


def _loaded(path: Path, batch: int, threads: int) -> Bare:
    """Load the file, and check that it gives `batch` answers.

    Raises `_RefusedError` for one that does not, `DataError` for one that does not run at all.
    """
    load = loaded_runtime(format_of(path), threads=threads)
    own = load(path).shape[0]
    try:
        bare = load(path, batch=batch)
        answers = [len(np.atleast_1d(output)) for output in bare.invoke(bare.noise())]
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        if own == batch:
            raise DataError(f"{path} loads, but fails when it runs: {first_line(error)}") from None
        raise _RefusedError(f"the file takes {own} image(s) at a time") from None
    for count in answers:
        if count != batch:
            raise _RefusedError(f"the file gives {count} answer(s) for {batch} images")
    return bare
