"""Describe the machine on which latencies were measured: processor, memory, load, noise."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mbexport.latency.intervals import Times, median_interval

JUDGED_THREADS: Final = 1  # of the times that gates compare
_MOST_BUSY: Final = 0.5  # of all cores, by other programs, in the moment before
_MOST_MEANWHILE: Final = 0.2  # the same, on average over the whole measurement
_SHORTEST_S: Final = 1.0  # systems count processor time in hundredths of a second: of less, shares are too coarse
_LARGEST_ERROR: Final = 0.05  # of a median, to either side
_MOST_SPREAD: Final = 0.15  # of a median, between the quartiles of the sittings' own medians
# Instructions that decide which kernels XNNPACK and onnxruntime choose, as /proc/cpuinfo spells them: x86, then ARM.
_FLAGS: Final = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_int8", "asimd", "asimdhp", "asimddp", "i8mm", "sve", "sve2"),
)
_CPUINFO: Final = Path("/proc/cpuinfo")
_WAIT_S: Final = 0.25
Load = tuple[float, float, float]


def describe_noise(
    times: Mapping[tuple[str, int], Times], *, busy_before: float, busy_during: float | None = None
) -> str | None:
    """A sentence on why ratios cannot be trusted, or on other programs at work; None on a quiet machine.

    `times` are by artifact and number of threads; `busy_before` and `busy_during` are the shares of all cores that
    other programs used before the run and, where that is known, during it.
    """
    reasons = unsteady({f"{name} on {threads} thread(s)": each for (name, threads), each in times.items()})
    others = []
    if busy_before > _MOST_BUSY:
        others.append(f"other programs kept {busy_before:.0%} of the cores busy before the run")
    if busy_during is not None and busy_during > _MOST_MEANWHILE:
        others.append(f"other programs kept {busy_during:.0%} of the cores busy during it")
    if others and not reasons:
        return f"latencies may be higher than on a quiet machine: {' and '.join(others)}"
    reasons += others
    return "too noisy to tell ratios of a few percent: " + "; ".join(reasons) if reasons else None


def unsteady(times: Mapping[str, Times]) -> list[str]:
    """Reasons why medians and their ratios are not known well, of `times` by what a sentence calls them."""
    if not times:
        return []
    reasons = []
    errors = {key: median_interval(each).relative_error for key, each in times.items()}
    worst = max(errors, key=errors.__getitem__)
    if errors[worst] > _LARGEST_ERROR:
        reasons.append(f"the median of {worst} is known to {errors[worst]:.0%} only")
    spread = {key: _spread(each) for key, each in times.items()}
    worst = max(spread, key=spread.__getitem__)
    if spread[worst] > _MOST_SPREAD:
        reasons.append(f"half of the sittings of {worst} lie {spread[worst]:.0%} apart")
    return reasons


def _spread(times: Times) -> float:
    """The distance between the quartiles of the sittings' medians, as a fraction of their median."""
    low, middle, high = np.percentile([np.median(each) for each in times], [25, 50, 75])
    return float((high - low) / middle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What else the machine did around a measurement: load averages over 1, 5 and 15 minutes, if it keeps them.

    `busy_before` is the share of all cores that were at work while this process waited: unlike the load, it does not
    include what this process did a moment ago. `busy_during` is that of other programs while it measured. `noise` is
    the sentence of `describe_noise`, and `noise_of_gates` that on the times on one thread, which gates judge: two of
    two cores are disturbed by whatever else runs, one is not.
    """

    load_before: Load | None = None
    load_after: Load | None = None
    busy_before: float | None = None
    busy_during: float | None = None
    noise: str | None = None
    noise_of_gates: str | None = None


def machine_json(conditions: Conditions | None = None) -> dict[str, Any]:
    """The machine's entry in a report, with the conditions of a measurement if there was one."""
    from psutil import virtual_memory

    during = conditions or Conditions()
    loads = (("before", during.load_before), ("after", during.load_after))
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _fact("model name") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "flags": list(cpu_flags()),
        "memory_bytes": int(virtual_memory().total),
        "load": {when: None if load is None else [round(each, 2) for each in load] for when, load in loads},
        "noise": during.noise,
        "noise_of_gates": during.noise_of_gates,
    }


def cpu_flags() -> tuple[str, ...]:
    """The instructions of this processor that matter to kernels; empty where the system does not list any."""
    listed = (_fact("flags") or _fact("Features") or "").split()
    return tuple(flag for flag in _FLAGS if flag in listed)


def load_average() -> Load | None:
    """The load averages over 1, 5 and 15 minutes; None where the system keeps none."""
    try:
        return os.getloadavg()
    except (AttributeError, OSError):
        return None


def busy_share() -> float:
    """The share of all cores, 0..1, that other programs use during a quarter of a second of waiting."""
    from psutil import cpu_percent

    return float(cpu_percent(interval=_WAIT_S)) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorTime:
    """Seconds of all cores since some moment in the past, idle ones among them: `total`, at work, and at our own work.

    Work is that of all programs, and what a hypervisor gave to other machines; `own` is that of this process and of
    those that it started and that have ended.
    """

    total: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> "ProcessorTime":
        """What the system has counted until now."""
        from psutil import cpu_times

        counted, process = cpu_times()._asdict(), os.times()
        for contained in ("guest", "guest_nice"):  # Linux counts them as the time of a user, too
            counted.pop(contained, None)
        total = sum(counted.values())
        return cls(
            total=total,
            busy=total - sum(counted.get(name, 0.0) for name in ("idle", "iowait")),
            own=process.user + process.system + process.children_user + process.children_system,
        )

    def others_since(self, earlier: "ProcessorTime") -> float | None:
        """The share of all cores, 0..1, that other programs used since then; None for too short a time to tell."""
        total = self.total - earlier.total
        if total < _SHORTEST_S:
            return None
        others = (self.busy - earlier.busy) - (self.own - earlier.own)
        return min(max(others / total, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the machine did before a measurement, to tell afterwards what else it did meanwhile."""

    load_before: Load | None
    busy_before: float
    spent: ProcessorTime

    @classmethod
    def start(cls) -> "Watch":
        """Look at other programs for a quarter of a second, and begin."""
        return cls(load_before=load_average(), busy_before=busy_share(), spent=ProcessorTime.now())

    def conditions(self, times: Mapping[tuple[str, int], Times]) -> Conditions:
        """The conditions under which `times`, by artifact and number of threads, were measured until now."""
        busy_during = ProcessorTime.now().others_since(self.spent)
        judged = {key: each for key, each in times.items() if key[1] == JUDGED_THREADS}
        return Conditions(
            load_before=self.load_before,
            load_after=load_average(),
            busy_before=self.busy_before,
            busy_during=busy_during,
            noise=describe_noise(times, busy_before=self.busy_before, busy_during=busy_during),
            noise_of_gates=describe_noise(judged, busy_before=self.busy_before, busy_during=busy_during),
        )


def _fact(name: str) -> str | None:
    """The first value of `name` in /proc/cpuinfo; None where there is none, as outside Linux."""
    try:
        lines = _CPUINFO.read_text("utf-8").splitlines()
    except OSError:
        return None
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for key, value in pairs if key.strip() == name), None)
