"""When timings are called too noisy: each reason by hand, and none on a quiet machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.latency import machine
from mbexport.latency.machine import ProcessorTime, Watch, describe_noise

QUIET = tuple(np.array([1.0, 1.01, 1.02]) for _ in range(8))
KEY = "a.onnx", 1


def restless(spread):
    """Half of the sittings are slower by so much."""
    return tuple(each * (1 + spread * (place % 2)) for place, each in enumerate(QUIET))


def test_a_quiet_machine_is_not_noisy():
    assert describe_noise({KEY: QUIET}, busy_before=0.5) is None


def test_other_programs_are_named_with_their_share():
    said = describe_noise({KEY: QUIET}, busy_before=0.51)
    assert said == (
        "latencies may be higher than on a quiet machine: other programs kept 51% of the cores busy before the run"
    )
    both = describe_noise({KEY: restless(0.5)}, busy_before=0.51)
    assert both.startswith("too noisy to tell ratios of a few percent: the median of ")
    assert both.endswith("; other programs kept 51% of the cores busy before the run")


def test_other_programs_during_the_run_are_noise_too():
    assert describe_noise({KEY: QUIET}, busy_before=0, busy_during=0.2) is None
    said = describe_noise({KEY: QUIET}, busy_before=0.6, busy_during=0.21)
    assert said == (
        "latencies may be higher than on a quiet machine: other programs kept 60% of the cores busy before the run and "
        "other programs kept 21% of the cores busy during it"
    )


@pytest.mark.parametrize(
    ("then", "now", "share"),
    [
        # Two cores for ten seconds: 20 s, of which 8 s at work, 3 s of them our own.
        ((100, 40, 10), (120, 48, 13), 0.25),
        ((100, 40, 10), (120, 48, 18), 0.0),  # our own are all, and clocks are coarse
        ((100, 40, 10), (120, 60, 10), 1.0),
        ((100, 40, 10), (100.5, 40.5, 10), None),  # too short to tell
    ],
)
def test_the_share_of_others_by_hand(then, now, share):
    earlier, later = (ProcessorTime(total=total, busy=busy, own=own) for total, busy, own in (then, now))
    assert later.others_since(earlier) == (None if share is None else pytest.approx(share))


def test_what_others_did_while_times_were_taken_makes_them_noisy(monkeypatch):
    counted = iter([ProcessorTime(total=0, busy=0, own=0), ProcessorTime(total=100, busy=60, own=30)])
    monkeypatch.setattr(ProcessorTime, "now", lambda: next(counted))
    monkeypatch.setattr(machine, "busy_share", lambda: 0.1)
    found = Watch.start().conditions({KEY: QUIET})
    assert (found.busy_before, found.busy_during) == (0.1, pytest.approx(0.3))
    assert found.noise.endswith("other programs kept 30% of the cores busy during it")


@pytest.mark.parametrize("threads", [1, 2])
def test_gates_hear_of_times_on_one_thread_only(monkeypatch, threads):
    quiet = ProcessorTime(total=0, busy=0, own=0)
    monkeypatch.setattr(ProcessorTime, "now", lambda: quiet)
    monkeypatch.setattr(machine, "busy_share", lambda: 0.0)
    found = Watch.start().conditions({KEY: QUIET, ("b.onnx", 3 - threads): QUIET, ("b.onnx", threads): restless(0.5)})
    assert f"b.onnx on {threads} thread(s) lie 40% apart" in found.noise
    assert found.noise_of_gates == (found.noise if threads == 1 else None)


def test_gates_hear_of_others_at_work_whatever_was_timed(monkeypatch):
    counted = iter([ProcessorTime(total=0, busy=0, own=0), ProcessorTime(total=100, busy=60, own=30)])
    monkeypatch.setattr(ProcessorTime, "now", lambda: next(counted))
    monkeypatch.setattr(machine, "busy_share", lambda: 0.1)
    assert "kept 30% of the cores busy" in Watch.start().conditions({("a.onnx", 2): QUIET}).noise_of_gates


def test_this_machine_counts_its_time():
    earlier = ProcessorTime.now()
    sum(range(10**6))
    later = ProcessorTime.now()
    assert later.total > earlier.total
    assert later.own >= earlier.own > 0
    assert 0 <= earlier.busy <= earlier.total


def test_the_worst_artifact_is_named_with_both_figures():
    said = describe_noise({KEY: QUIET, ("b.onnx", 2): restless(0.5), ("c.onnx", 1): restless(0.2)}, busy_before=0)
    assert "the median of b.onnx on 2 thread(s) is known to " in said
    # Quartiles of four sittings at 1.01 and four at 1.515, whose median lies halfway.
    assert "half of the sittings of b.onnx on 2 thread(s) lie 40% apart" in said
    assert "c.onnx" not in said


def test_two_sittings_that_differ_are_too_few_to_tell():
    assert "is known to" in describe_noise({KEY: (np.array([1.0]), np.array([1.05]))}, busy_before=0)


@given(st.floats(1.01, 100))
def test_how_long_an_inference_takes_is_no_noise(scale):
    assert describe_noise({KEY: tuple(each * scale for each in QUIET)}, busy_before=0) is None


@pytest.mark.parametrize("spread", [0.4, 1.0, 5.0])
def test_sittings_that_lie_far_apart_are_always_reported(spread):
    assert "lie " in describe_noise({KEY: restless(spread)}, busy_before=0)
