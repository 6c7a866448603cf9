"""Time artifacts on an Android device in sittings: in each, every artifact runs on every target in random order."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mbexport.errors import DataError, StageError
from mbexport.latency.android.adb import Answer
from mbexport.latency.android.benchmark_output import Sitting, read_output
from mbexport.latency.android.device import THERMAL_STATUS, Look, look, thermal_status
from mbexport.latency.android.folder import DeviceFolder
from mbexport.latency.interleaved import Ratio
from mbexport.latency.intervals import Interval, Times, median_interval, ratio_interval
from mbexport.latency.machine import unsteady
from mbexport.latency.sittings import Effort, OnStep

CPU: Final = "cpu"
GPU: Final = "gpu"

_WARMUP_S: Final = 0.2  # at least, before each sitting: until then a phone's cores are on their way to full speed
_MOST_S: Final = 1.0  # of the timed runs of a slow file in one sitting, where the number of runs is ours to choose
_UNLIMITED_S: Final = 86_400.0
_START_S: Final = 120.0  # to start and load: the first GPU run compiles its programs
_CANNOT_EXECUTE: Final = (126, 127)  # POSIX shells: found but not executable, and not found (its loader, too)
_ERROR_LINE: Final = re.compile(r"^(?:ERROR|FATAL|Error): (.+)$", re.MULTILINE)
_GENERAL: Final = "Benchmarking failed."


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What executes a network on the device: the GPU, with no threads of ours, or so many threads of the CPU."""

    accelerator: str
    threads: int | None = None

    def __str__(self) -> str:
        """Name the target in a sentence."""
        return "the GPU" if self.threads is None else f"{self.threads} thread(s)"

    @property
    def flags(self) -> tuple[str, ...]:
        """The options of `benchmark_model`; each of the two tools warns of those that are the other's, and goes on."""
        if self.threads is None:
            return ("--use_gpu=true", "--use_cpu=false", "--require_full_delegation=true")
        return (f"--num_threads={self.threads}", "--use_xnnpack=true")


Key = tuple[str, Target]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTimings:
    """All sittings by artifact and target, and why a target does not run an artifact.

    `before` and `after` are the device's states around them, `hottest` is the worst thermal status in between.
    """

    sittings: Mapping[Key, tuple[Sitting, ...]]
    refused: Mapping[Key, str]
    before: Look
    after: Look
    hottest: int | None

    def median(self, key: Key) -> Interval:
        """The typical latency of the sittings in milliseconds, with an interval that covers other sittings too."""
        return median_interval(self._times(key))

    def ratio(self, a: str, b: str, target: Target) -> Ratio:
        """The typical latency of a over that of b in the same sittings, with its interval."""
        ratio = ratio_interval(self._times((a, target)), self._times((b, target)))
        return Ratio(a=a, b=b, ratio=ratio.value, ci95=(ratio.low, ratio.high), threads=target.threads or 1)

    @property
    def noise(self) -> str | None:
        """A sentence on why these figures cannot be trusted; None for a device at rest."""
        reasons = unsteady({f"{name} on {target}": self._times((name, target)) for name, target in self.sittings})
        if self.hottest:
            reasons.append(f"heat slowed the device down (thermal status {THERMAL_STATUS[self.hottest]}); let it cool")
        if self.before.saver or self.after.saver:
            reasons.append("the battery saver slows the device down; turn it off")
        return "the device's latencies are not to be trusted: " + "; ".join(reasons) if reasons else None

    def _times(self, key: Key) -> Times:
        return tuple(np.array([each.typical_ms]) for each in self.sittings[key])


def targets_of(threads: int) -> tuple[Target, ...]:
    """One thread, `threads` of them if that is more, and the GPU."""
    counts = dict.fromkeys((1, threads))
    return (*(Target(CPU, count) for count in counts), Target(GPU))


def try_all(folder: DeviceFolder, targets: Sequence[Target]) -> dict[Key, str]:
    """Run every artifact once on every target; the GPU's reasons for those that it does not execute as a whole.

    Raises `DataError` if `benchmark_model` does not run on the device, or an artifact not on its CPU, and `StageError`
    if the connection breaks or the output cannot be read.
    """
    refused = {}
    flags = ("--num_runs=1", "--min_secs=0", "--warmup_runs=1", "--warmup_min_secs=0", f"--max_secs={_MOST_S:g}")
    for name in folder.paths:
        for target in targets:
            answer = folder.benchmark(name, (*flags, *target.flags), within_s=_START_S)
            if answer.exit_code in _CANNOT_EXECUTE:
                raise DataError(f"--benchmark-model does not run on the Android device: {_reason(answer)}")
            reason = _refusal(answer, target)
            if reason is not None and target.accelerator != GPU:
                raise DataError(f"benchmark_model cannot run {name} on the Android device: {reason}")
            if reason is not None:
                refused[name, target] = reason
    return refused


def time_on_device(
    folder: DeviceFolder,
    targets: Sequence[Target],
    *,
    refused: Mapping[Key, str],
    effort: Effort,
    seed: int = 0,
    on_step: OnStep = lambda _done, _total, _text: None,
) -> DeviceTimings:
    """Time every artifact on every target but for those `refused`, in all sittings of `effort`.

    In each sitting `benchmark_model` is started anew for each, in a new random order, so that heat and other programs
    hit all alike. Raises `StageError` for a run that fails although `try_all` could do it, if the connection breaks, or
    for output that cannot be read.
    """
    keys = [(name, target) for name in folder.paths for target in targets if (name, target) not in refused]
    rng, before = np.random.default_rng(seed), look(folder.adb)
    sittings: dict[Key, tuple[Sitting, ...]] = dict.fromkeys(keys, ())
    statuses = [before.thermal]
    for place in range(effort.sittings):
        for index in rng.permutation(len(keys)):
            sittings[keys[index]] += (_sitting(folder, keys[index], effort.runs_in(place), effort),)
        statuses.append(thermal_status(folder.adb))
        on_step(place + 1, effort.sittings, "sittings on the device")
    after = look(folder.adb)
    known = [status for status in (*statuses, after.thermal) if status is not None]
    return DeviceTimings(
        sittings=sittings, refused=dict(refused), before=before, after=after, hottest=max(known, default=None)
    )


def _sitting(folder: DeviceFolder, key: Key, runs: int, effort: Effort) -> Sitting:
    name, target = key
    most_s = _UNLIMITED_S if effort.budget_ms == math.inf else _MOST_S
    flags = (
        *(f"--num_runs={runs}", "--min_secs=0", f"--max_secs={most_s:g}"),
        *(f"--warmup_runs={max(effort.warmup, 1)}", f"--warmup_min_secs={_WARMUP_S:g}", *target.flags),
    )
    answer = folder.benchmark(name, flags, within_s=_START_S + most_s + max(most_s, _WARMUP_S))
    reason = _refusal(answer, target)
    if reason is not None:
        raise StageError(f"benchmark_model failed with {name} on {target} of the Android device: {reason}")
    return read_output(answer.text)


def _refusal(answer: Answer, target: Target) -> str | None:
    """Why a run is no measurement of the target; None for one that is."""
    if answer.exit_code:
        return _reason(answer)
    if target.accelerator == GPU and not read_output(answer.text).is_whole_on_gpu:
        return "the GPU does not execute the whole graph"
    read_output(answer.text)
    return None


def _reason(answer: Answer) -> str:
    """The last error in what a failing run printed; else its last line, with the exit code."""
    errors: list[str] = [line.strip() for line in _ERROR_LINE.findall(answer.text) if line.strip() != _GENERAL]
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()] or ["it said nothing"]
    return (errors[-1] if errors else f"{lines[-1]} (exit code {answer.exit_code})")[:300]
