"""Turns this machine into what a reader of its latencies must know: processor, memory, and what else it was doing."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbexport.latency.intervals import Times, median_of

_MOST_BUSY: Final = 0.5  # of all cores, by others
_MOST_UNSURE: Final = 0.05  # of a median, to either side
_MOST_SPREAD: Final = 0.15  # of a median, between the quartiles of the sittings' own medians


def noise_of(times: Mapping[tuple[str, int], Times], *, busy_before: float) -> str | None:
    """What says that ratios of a few percent cannot be told, or that others worked beside us; None if nothing does.

    `times` are known by artifact and threads; `busy_before` is the share of all cores that others used before.
    """
    reasons = []
    unsure = {key: median_of(each).unsureness for key, each in times.items()}
    name, threads = worst = max(unsure, key=unsure.__getitem__)
    if unsure[worst] > _MOST_UNSURE:
        reasons.append(f"the median of {name} on {threads} thread(s) is known to {unsure[worst]:.0%} only")
    spread = {key: _spread(each) for key, each in times.items()}
    name, threads = worst = max(spread, key=spread.__getitem__)
    if spread[worst] > _MOST_SPREAD:
        reasons.append(f"half of the sittings of {name} on {threads} thread(s) lie {spread[worst]:.0%} apart")
    if busy_before > _MOST_BUSY:
        reasons.append(f"other programs kept {busy_before:.0%} of the cores busy before the run")
        if len(reasons) == 1:
            return f"latencies may be higher than on a quiet machine: {reasons[0]}"
    return "too noisy to tell ratios of a few percent: " + "; ".join(reasons) if reasons else None


def _spread(times: Times) -> float:
    """What lies between the quartiles of the sittings' medians, as a fraction of their median."""
    low, middle, high = np.percentile([np.median(each) for each in times], [25, 50, 75])
    return float((high - low) / middle)


# Instructions that decide which kernels XNNPACK and onnxruntime choose, as /proc/cpuinfo spells them: x86, then ARM.
_FLAGS: Final = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_int8", "asimd", "asimdhp", "asimddp", "i8mm", "sve", "sve2"),
)
_CPUINFO: Final = Path("/proc/cpuinfo")
_GLANCE_S: Final = 0.25

Load = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the machine did around a measurement: load averages over 1, 5 and 15 minutes, if it keeps them.

    `busy_before` is the share of all cores that were at work while we waited: unlike the load, it does not remember
    what we did ourselves a moment ago. `noise` says in one sentence why small ratios cannot be told, if so.
    """

    load_before: Load | None = None
    load_after: Load | None = None
    busy_before: float | None = None
    noise: str | None = None


def machine_json(conditions: Conditions | None = None) -> dict[str, Any]:
    """Where the latencies were measured, and under which conditions if any were."""
    from psutil import virtual_memory

    held = conditions or Conditions()
    loads = (("before", held.load_before), ("after", held.load_after))
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _fact("model name") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "flags": list(cpu_flags()),
        "memory_bytes": int(virtual_memory().total),
        "load": {when: None if load is None else [round(each, 2) for each in load] for when, load in loads},
        "noise": held.noise,
    }


def cpu_flags() -> tuple[str, ...]:
    """The instructions that matter to kernels and that this processor has; none where the system does not list them."""
    listed = (_fact("flags") or _fact("Features") or "").split()
    return tuple(flag for flag in _FLAGS if flag in listed)


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> Load | None:
    """The load averages over 1, 5 and 15 minutes, where the system keeps them."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def busy_share() -> float:
    """The share of all cores, 0..1, that others use during a quarter of a second in which we do nothing."""
    from psutil import cpu_percent

    return float(cpu_percent(interval=_GLANCE_S)) / 100


def _fact(name: str) -> str | None:
    """What /proc/cpuinfo first says of `name`; None where it does not, as outside Linux."""
    try:
        lines = _CPUINFO.read_text("utf-8").splitlines()
    except OSError:
        return None
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for key, value in pairs if key.strip() == name), None)
