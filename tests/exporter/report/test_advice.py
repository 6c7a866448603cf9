"""Advice on gates: how many images would decide, by hand and by the interval itself; no pointer to a missing report."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.report.advice import advice, deciding_samples
from mbexport.verification.gates import GATES
from mbexport.verification.judge import Verdict, verdict_of
from mbexport.verification.measured_values import Value
from mbexport.verification.statistics import wilson_interval


def gate(name: str = "top1_drop", **more: Any) -> dict[str, Any]:
    kind = GATES[name]
    usual = {"value": 0.0, "ci95": [-0.04, 0.04], "limit": 0.02, "verdict": "undecided", "passed": True}
    return {"name": name, "direction": kind.direction, "advice": kind.advice, **usual, **more}


def test_no_drop_on_few_images_asks_for_more_test_images():
    told = advice(gate(), samples=96)
    # (0.04 / 0.02)^2 = 4 times as many: 384, in two digits 390.
    assert told == "give more test images: about 390 would decide it (an estimate; these were 96)"


def test_a_value_beyond_its_limit_is_told_to_fail_as_it_is():
    told = advice(gate(value=0.03, ci95=[0.01, 0.05]), samples=500)
    assert told.startswith("give more test images: about 2,000 would decide it")
    assert "it fails if the value stays what it is: " + GATES["top1_drop"].advice in told


def test_a_value_at_its_limit_is_decided_by_no_number_of_images():
    assert deciding_samples(gate(value=0.02), 100) is None
    assert advice(gate(value=0.02), samples=100).startswith("the value is the limit itself")


def test_a_gate_that_passed_needs_no_advice_and_one_that_failed_its_own():
    assert advice(gate(verdict="pass"), samples=100) == ""
    failed = gate(verdict="fail", passed=False)
    assert advice(failed, samples=100) == GATES["top1_drop"].advice


@pytest.mark.parametrize("verdict", ["fail", "undecided"])
def test_the_reason_of_a_gate_comes_before_its_advice(verdict):
    doubtful = gate("int8_speedup", reason="others kept 90% of the cores busy", verdict=verdict, passed=False)
    assert advice(doubtful, samples=100) == (
        "others kept 90% of the cores busy: time it on a quiet machine; see `mbexport inspect --kernels FILE`"
    )


@pytest.mark.parametrize("name", ["int8_speedup", "path_agreement"])
def test_images_are_not_asked_for_where_they_decide_nothing(name):
    assert "test images" not in advice(gate(name), samples=100)


@pytest.mark.parametrize("name", GATES)
def test_nothing_points_into_a_report_that_is_not_there(name):
    failed = gate(name, verdict="fail", passed=False)
    told = advice(failed, samples=100, has_report=False)
    assert told
    assert "report's" not in told
    assert not told.startswith("see the")
    assert "see the worst" not in told


@given(share=st.floats(0.5, 0.9), samples=st.integers(100, 2000), away=st.floats(0.02, 0.2))
def test_the_estimate_decides_a_proportion_that_stays(share, samples, away):
    low, high = wilson_interval(round(share * samples), samples)
    value, limit = round(share * samples) / samples, share - away
    wanted = deciding_samples(gate("agreement", value=value, ci95=[low, high], limit=limit), samples)
    if not low < limit < value:
        assert wanted is None
        return
    assert wanted is not None
    assert wanted > samples

    enough = 2 * wanted  # it is an estimate
    interval = wilson_interval(round(value * enough), enough)
    assert verdict_of(Value(value=value, ci95=interval), limit, "at least") is not Verdict.UNDECIDED
