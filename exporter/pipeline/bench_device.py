"""Time artifacts on an Android device: the part of `mbexport bench` that `--adb` adds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from mbexport.errors import MAX_THREADS, OptionError
from mbexport.formats.registry import FORMATS, format_of
from mbexport.formats.runner import Runner
from mbexport.latency.android.adb import Adb, connect
from mbexport.latency.android.binary import require_runnable
from mbexport.latency.android.device import THERMAL_STATUS, Device, Look, describe
from mbexport.latency.android.folder import DeviceFolder, pushed
from mbexport.latency.android.timings import DeviceTimings, Key, Target, targets_of, time_on_device, try_all
from mbexport.latency.performance import ratio_json
from mbexport.latency.sittings import Effort, OnStep
from mbexport.report.content import Json

_THREADS: Final = 4  # what apps use at most; the small cores of a phone slow down more than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A device that is connected and lets us in, and the `benchmark_model` that it can run."""

    adb: Adb
    device: Device
    tool: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A device with the artifacts on it, each of which ran once on every target that is not `refused`."""

    phone: Phone
    folder: DeviceFolder
    targets: tuple[Target, ...]
    refused: dict[Key, str]
    left_out: tuple[str, ...]

    def measure(self, effort: Effort, on_step: OnStep) -> Json:
        """Time the artifacts, and give the device's part of the result. Raises as `time_on_device`."""
        timings = time_on_device(self.folder, self.targets, refused=self.refused, effort=effort, on_step=on_step)
        names = list(self.folder.paths)
        first = timings.sittings[names[0], self.targets[0]][0]
        return {
            "device": asdict(self.phone.device),
            "tool": {"kind": first.tool, "sha256": self.folder.tool_sha256},
            "statistic": "mean" if first.median_ms is None else "median",
            "sittings": effort.sittings,
            "thermal_status": None if timings.hottest is None else THERMAL_STATUS[timings.hottest],
            "before": _look_json(timings.before),
            "after": _look_json(timings.after),
            "noise": timings.noise,
            "artifacts": [
                {
                    "file": name,
                    "sha256": self.folder.hashes[name],
                    "targets": [_target_json(timings, name, target) for target in self.targets],
                }
                for name in names
            ],
            "ratios": [
                {**ratio_json(timings.ratio(name, names[0], target)), **_named(target)}
                for target in self.targets
                for name in names[1:]
                if not {(name, target), (names[0], target)} & self.refused.keys()
            ],
            "left_out": list(self.left_out),
        }


def find_phone(serial: str, tool: Path) -> Phone:
    """The device of that serial number, or the only one. Raises as `connect` and `require_runnable` do."""
    adb = connect(serial)
    device = describe(adb)
    require_runnable(tool, device.abis)
    return Phone(adb=adb, device=device, tool=tool)


@contextmanager
def prepared(phone: Phone, runners: Sequence[Runner], *, threads: int | None) -> Iterator[Prepared]:
    """Push what the device can run of the artifacts and try it, on one and on `threads` threads and on the GPU.

    Without `threads` there are at most four. What was pushed is removed at the end. Raises `OptionError` where the
    device runs none of the artifacts, and as `pushed` and `try_all` do.
    """
    files = {runner.name: runner.path for runner in runners if format_of(runner.path).android_tool is not None}
    if not files:
        timed = " or ".join(f".{each.name}" for each in FORMATS if each.android_tool is not None)
        raise OptionError(f"--adb needs a {timed} file: benchmark_model runs no other, got {runners[0].name}")
    cores = phone.device.cores or _THREADS
    targets = targets_of(min(cores, _THREADS, MAX_THREADS) if threads is None else threads)
    with pushed(phone.adb, phone.tool, files) as folder:
        yield Prepared(
            phone=phone,
            folder=folder,
            targets=targets,
            refused=try_all(folder, targets),
            left_out=tuple(runner.name for runner in runners if runner.name not in files),
        )


def _target_json(timings: DeviceTimings, name: str, target: Target) -> Json:
    entry = _named(target)
    if (name, target) in timings.refused:
        return {**entry, "ms": None, "reason": timings.refused[name, target]}
    sittings, typical = timings.sittings[name, target], timings.median((name, target))
    return {
        **entry,
        "ms": round(typical.value, 3),
        "ms_ci95": [round(typical.low, 3), round(typical.high, 3)],
        "fastest_ms": round(min(each.min_ms for each in sittings), 3),
        "runs": sum(each.runs for each in sittings),
        "load_ms": round(median([each.init_ms for each in sittings]), 3),
        "first_inference_ms": round(median([each.first_ms for each in sittings]), 3),
        "reason": None,
    }


def _named(target: Target) -> Json:
    return {"accelerator": target.accelerator, "threads": target.threads}


def _look_json(look: Look) -> Json:
    thermal = None if look.thermal is None else THERMAL_STATUS[look.thermal]
    return {
        "thermal_status": thermal,
        "battery_percent": look.level,
        "battery_celsius": look.temperature_c,
        "powered_by": list(look.powered_by),
        "battery_saver": look.saver,
    }
