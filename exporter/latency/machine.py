"""Turns this machine into what a reader of its latencies must know: processor, memory, and what else it was doing."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
