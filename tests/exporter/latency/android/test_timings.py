"""Sittings on a device: who runs when and how often, medians and ratios by hand, and when not to trust them."""

from collections import Counter

import pytest
from fake_android.tool_output import WHOLE_GPU, tflite_output

from mbexport.errors import StageError
from mbexport.latency.android.adb import Answer
from mbexport.latency.android.folder import DeviceFolder
from mbexport.latency.android.timings import CPU, GPU, Target, targets_of, time_on_device, try_all
from mbexport.latency.sittings import Effort, fixed_effort

ONE, FOUR, ON_GPU = Target(CPU, 1), Target(CPU, 4), Target(GPU)
COOL = "Thermal Status: 0\n"


class Phone:
    """Stands for `Adb`: a device whose runs take what `cost_us` gives for a file, a target and a sitting."""

    def __init__(self, cost_us, heat=(), saver="0"):
        self.cost_us, self.heat, self.saver = cost_us, iter(heat), saver
        self.runs, self.counts = [], Counter()

    def shell(self, words, *, within_s=60.0):
        if words[0] == "dumpsys":
            return Answer(text=next(self.heat, COOL) if words[1] == "thermalservice" else "", exit_code=0)
        if words[0] == "settings":
            return Answer(text=self.saver, exit_code=0)
        flags = dict(word.removeprefix("--").split("=", 1) for word in words[1:])
        target = ON_GPU if "use_gpu" in flags else Target(CPU, int(flags["num_threads"]))
        name = flags["graph"]
        self.runs.append((name, target, flags))
        cost = self.cost_us(name, target, self.counts[name, target])
        self.counts[name, target] += 1
        if isinstance(cost, Answer):
            return cost
        times = [cost] * int(flags["num_runs"])
        log = tflite_output([2 * cost], times, init_us=9, delegate=WHOLE_GPU if target == ON_GPU else "")
        return Answer(text=log, exit_code=0)


def folder_of(phone, *names):
    return DeviceFolder(
        adb=phone,
        tool="benchmark_model",
        tool_sha256="",
        paths={name: name for name in names},
        hashes=dict.fromkeys(names, ""),
    )


def timed(phone, *names, targets=(ONE,), effort=None, refused=()):
    return time_on_device(
        folder_of(phone, *names), targets, refused=dict.fromkeys(refused, "no"), effort=effort or Effort()
    )


def test_targets():
    assert targets_of(4) == (ONE, FOUR, ON_GPU)
    assert targets_of(1) == (ONE, ON_GPU)


def test_every_artifact_runs_on_every_target_once_a_sitting_in_changing_order():
    phone = Phone(lambda *_: 1000)
    timed(phone, "a", "b", targets=(ONE, FOUR, ON_GPU), effort=fixed_effort(45, warmup=3), refused=[("b", ON_GPU)])
    keys = [("a", ONE), ("a", FOUR), ("a", ON_GPU), ("b", ONE), ("b", FOUR)]
    order = [run[:2] for run in phone.runs]
    sittings = [order[at : at + 5] for at in range(0, len(order), 5)]
    assert len(sittings) == 20
    assert all(sorted(each) == sorted(keys) for each in sittings)
    assert len({tuple(each) for each in sittings}) > 10
    assert sum(int(flags["num_runs"]) for name, target, flags in phone.runs if (name, target) == keys[0]) == 45
    assert {flags["warmup_runs"] for *_, flags in phone.runs} == {"3"}


def test_medians_and_ratios_by_hand():
    phone = Phone(lambda name, target, _: {"a": 8000, "b": 2000}[name] // (target.threads or 8))
    timings = timed(phone, "a", "b", targets=(ONE, FOUR, ON_GPU))
    assert timings.median(("a", FOUR)).value == pytest.approx(2.0)
    assert timings.ratio("b", "a", ON_GPU).ratio == pytest.approx(0.25)
    assert timings.ratio("b", "a", ON_GPU).ci95 == pytest.approx((0.25, 0.25))
    assert (timings.noise, timings.hottest) == (None, 0)


def test_an_interval_covers_what_sittings_differ_by():
    phone = Phone(lambda name, _, sitting: 1000 + 20 * (sitting % 3))
    median = timed(phone, "a").median(("a", ONE))
    assert 0.99 < median.low < median.value < median.high < 1.05


def test_heat_and_saving_and_unrest_are_named():
    hot = timed(Phone(lambda *_: 1000, heat=[COOL, COOL, "Thermal Status: 2\n"]), "a")
    assert hot.noise == (
        "the device's latencies are not to be trusted: heat slowed the device down (thermal status moderate); let it "
        "cool"
    )
    saving = timed(Phone(lambda *_: 1000, saver="1"), "a")
    assert saving.noise.endswith("the battery saver slows the device down; turn it off")
    restless = timed(Phone(lambda *at: 1000 + 1000 * (at[-1] % 2)), "a")
    assert "half of the sittings of a on 1 thread(s) lie " in restless.noise


def test_a_device_that_does_not_tell_its_heat_is_not_called_cool():
    assert timed(Phone(lambda *_: 1000, heat=["no such service\n"] * 99), "a").hottest is None


def test_a_run_that_fails_between_others_ends_it():
    failed = Answer(text="ERROR: out of memory\nERROR: Benchmarking failed.", exit_code=1)
    phone = Phone(lambda _name, _target, sitting: failed if sitting == 3 else 1000)
    with pytest.raises(StageError, match=r"failed with a on 1 thread\(s\) of the Android device: out of memory$"):
        timed(phone, "a")
    killed = Phone(lambda _name, _target, sitting: Answer(text="", exit_code=137) if sitting == 3 else 1000)
    with pytest.raises(StageError, match=r"it said nothing \(exit code 137\)"):
        timed(killed, "a")


def test_a_file_that_the_gpu_leaves_in_part_has_a_reason_and_no_figure():
    whole = tflite_output([2], [1], init_us=9, delegate=WHOLE_GPU)
    answers = {
        "whole": Answer(text=whole, exit_code=0),
        "part": Answer(text=whole.replace("completely", "partially"), exit_code=0),
        "none": Answer(text="ERROR: Disallowed CPU fallback detected.\nERROR: Benchmarking failed.", exit_code=1),
    }
    phone = Phone(lambda name, target, _: answers[name] if target == ON_GPU else 1000)
    assert try_all(folder_of(phone, *answers), (ONE, ON_GPU)) == {
        ("part", ON_GPU): "the GPU does not execute the whole graph",
        ("none", ON_GPU): "Disallowed CPU fallback detected.",
    }
