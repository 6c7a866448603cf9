"""Sittings under a fake clock: what is loaded anew, how often each file runs, and the timings."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mbexport.errors import OptionError
from mbexport.latency import machine
from mbexport.latency.sittings import FULL, Effort, fixed_effort, time_artifacts

FEED = np.zeros((1, 1, 1, 3), np.uint8)
NAMES = ("a.onnx", "b.onnx", "c.onnx")


@pytest.fixture(autouse=True)
def still_machine(monkeypatch):
    """Nobody waits a quarter of a second to learn how busy the machine is."""
    monkeypatch.setattr(machine, "busy_share", lambda: 0.0)
    monkeypatch.setattr(machine, "load_average", lambda: (1.0, 2.0, 3.0))
    monkeypatch.setattr(machine.ProcessorTime, "others_since", lambda *_: 0.0)


@pytest.fixture
def timed(runner):
    """Time files that take the given milliseconds a run; gives the timings and the order in which they were loaded."""

    def start(costs_ms, *, seed=0, threads=(1,), effort=FULL, per_thread=lambda cost, threads: cost / threads, **named):
        loads = []

        def opened(path: Path, *, threads: int):
            loads.append((path.name, threads))
            cost = per_thread(costs_ms[path.name], threads)
            return runner(path.name, iter(lambda: cost, None))

        found = time_artifacts(
            {name: Path(name) for name in costs_ms},
            dict.fromkeys(costs_ms, FEED),
            seed=seed,
            threads=threads,
            effort=effort,
            open_file=opened,
            **named,
        )
        return found, loads

    return start


def test_every_file_is_loaded_anew_in_each_sitting_in_changing_order(timed):
    _, loads = timed(dict.fromkeys(NAMES, 1.0), effort=fixed_effort(40, warmup=0))
    orders = [tuple(loads[i : i + 3]) for i in range(0, len(loads), 3)]
    assert len(orders) == 20
    assert all({name for name, _ in order} == set(NAMES) for order in orders)
    assert len(set(orders)) > 3  # of six possible ones


def test_each_number_of_threads_is_timed_once_and_by_itself(timed):
    found, loads = timed({"a.onnx": 4.0}, threads=(1, 2, 1), effort=fixed_effort(20, warmup=0))
    assert [threads for _, threads in loads] == [1] * 20 + [2] * 20
    assert found.threads == (1, 2)
    assert found.latency("a.onnx").p50_ms == pytest.approx(4)
    assert found.latency("a.onnx", 2).p50_ms == pytest.approx(2)


def test_latency_and_ratio_by_hand(timed):
    found, _ = timed({"a.onnx": 3.0, "b.onnx": 1.5}, effort=fixed_effort(20, warmup=1))
    latency, ratio = found.latency("a.onnx"), found.ratio("a.onnx", "b.onnx")
    assert (latency.runs, latency.p50_ms, latency.p99_ms) == (20, pytest.approx(3), pytest.approx(3))
    assert latency.percentiles_ms == pytest.approx((3,) * 21)
    assert (ratio.a, ratio.b, ratio.threads) == ("a.onnx", "b.onnx", 1)
    assert (ratio.ratio, *ratio.ci95) == pytest.approx((2, 2, 2))
    assert found.conditions.noise is None
    assert found.conditions.load_before == found.conditions.load_after == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("runs", [2, 3, 5, 20, 21, 200])
def test_a_fixed_effort_makes_exactly_its_runs(timed, clock, runs):
    found, loads = timed(dict.fromkeys(NAMES, 500.0), effort=fixed_effort(runs, warmup=3))
    loadings = Counter(name for name, _ in loads)
    for name in NAMES:
        assert found.latency(name).runs == runs
        assert clock.calls.count(name) == runs + 3 * loadings[name]
        assert loadings[name] == min(20, runs)


def test_slow_files_get_fewer_runs_and_every_sitting_has_one(timed):
    # 240 runs in 4 sittings are 60 in each; 30 ms have room for six runs of 5 ms, and for less than one of 200 ms.
    effort = Effort(sittings=4, runs=240, warmup=2, budget_ms=30.5)
    found, _ = timed({"a.onnx": 0.1, "b.onnx": 5.0, "c.onnx": 200.0}, effort=effort)
    assert [found.latency(name).runs for name in NAMES] == [240, 24, 4]
    assert [len(each) for each in found.times_ms["c.onnx", 1]] == [1] * 4


def test_a_noisy_machine_is_reported(timed, monkeypatch):
    monkeypatch.setattr(machine, "busy_share", lambda: 0.8)
    found, _ = timed({"a.onnx": 1.0}, effort=fixed_effort(4, warmup=0))
    assert "80% of the cores busy" in found.conditions.noise


def test_same_seed_gives_the_same_order(timed):
    orders = [timed(dict.fromkeys(NAMES, 1.0), seed=seed, effort=fixed_effort(20, warmup=0))[1] for seed in (3, 3, 4)]
    assert orders[0] == orders[1] != orders[2]


def test_progress_counts_sittings(timed):
    steps = []
    timed({"a.onnx": 1.0}, effort=fixed_effort(4, warmup=0), on_step=lambda *step: steps.append(step))
    assert steps == [(1, 4, "sittings"), (2, 4, "sittings"), (3, 4, "sittings"), (4, 4, "sittings")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"runs": 1}, "got 1 runs in 20 sittings"),
        ({"sittings": 1}, "got 400 runs in 1 sittings"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"budget_ms": 0}, "budget_ms positive"),
        ({"budget_ms": float("nan")}, "budget_ms positive"),
    ],
)
def test_effort_that_cannot_give_an_interval_is_refused(given, said):
    with pytest.raises(OptionError, match=said):
        Effort(**given)


def test_a_fixed_effort_of_one_run_is_refused():
    with pytest.raises(OptionError, match="got 1 runs in 1 sittings"):
        fixed_effort(1, warmup=0)
