"""Measure cold start and memory of files, each in fresh processes of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from mbexport.errors import EXIT_BAD_INPUT, DataError, StageError

_MODULE: Final = "mbexport.latency.probe_process"
_TIMEOUT_S: Final = 300  # the largest network that we make needs seconds
PROCESSES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One file in fresh processes: medians of the times of loading and of the first inference, and of the memory.

    `peak_memory_bytes` is the largest resident size, beyond what the runtime alone takes: the file's pages, packed
    weights and activations. On macOS, where a process's earlier peak cannot be reset, it is at least what stayed
    resident.
    """

    load_ms: float
    first_inference_ms: float
    total_ms: float
    peak_memory_bytes: int
    processes: int


def probe_all(
    files: Mapping[str, Path],
    *,
    threads: int = 1,
    processes: int = PROCESSES,
    seed: int = 0,
    on_step: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> dict[str, Probe]:
    """Measure each of `files`, by name, in `processes` processes, one after the other: rounds in a new random order.

    Raises `DataError` for a file that cannot be loaded or run, `StageError` for a process that dies or hangs.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
    names = list(files)
    order = [names[index] for _ in range(processes) for index in rng.permutation(len(names))]
    for place, name in enumerate(order):
        rows[name].append(_probe(files[name], threads))
        on_step(place + 1, len(order), "processes")
    return {name: _medians(each) for name, each in rows.items()}


def _probe(path: Path, threads: int) -> dict[str, Any]:
    # -P: nothing that lies in the user's folder by chance is imported.
    command = [sys.executable, "-P", "-m", _MODULE, str(path), str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise StageError(f"{path} did not answer in a process of its own within {_TIMEOUT_S} s") from None
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or [""]
    if done.returncode == EXIT_BAD_INPUT:
        raise DataError(lines[-1])
    if done.returncode:
        raise StageError(f"{path} failed in a process of its own with exit code {done.returncode}: {lines[-1]}")
    row: dict[str, Any] = json.loads(lines[-1])
    return row


def _medians(rows: Sequence[dict[str, Any]]) -> Probe:
    return Probe(
        load_ms=median(row["load_ms"] for row in rows),
        first_inference_ms=median(row["first_inference_ms"] for row in rows),
        total_ms=median(row["load_ms"] + row["first_inference_ms"] for row in rows),
        peak_memory_bytes=round(median(row["peak_memory_bytes"] for row in rows)),
        processes=len(rows),
    )
