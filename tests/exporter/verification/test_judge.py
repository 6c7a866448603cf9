"""The verdict: each direction, what an interval decides, what fails closed, and which of many values counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.verification.gates import GATES
from mbexport.verification.judge import Verdict, all_passed, judge, verdict_of
from mbexport.verification.measured_values import Value

NAMES = st.sampled_from(sorted(name for name, gate in GATES.items() if gate.limit is not None))
NUMBERS = st.floats(min_value=0, max_value=1e6)


def facts(**values: float) -> dict[str, tuple[Value, ...]]:
    """Values that are known exactly."""
    return {name: (Value(value=value),) for name, value in values.items()}


def judged(name: str, value: float, limit: float, **options: bool) -> bool:
    (gate,) = judge(facts(**{name: value}), {name: limit}, defaults={}, **options)
    return gate.passed


@pytest.mark.parametrize(
    ("name", "value", "limit", "passed"),
    [
        ("agreement", 0.95, 0.9, True),
        ("agreement", 0.9, 0.9, True),
        ("agreement", 0.89, 0.9, False),
        ("top1_drop", 0.01, 0.02, True),
        ("top1_drop", 0.02, 0.02, True),
        ("top1_drop", 0.021, 0.02, False),
        ("top1_drop", -0.5, 0.0, True),  # int8 may be the better one
        ("samples", 29, 30, False),
        ("size_ratio", 0.31, 0.3, False),
        ("twin_agreement", 0.99, 0.995, False),
    ],
)
def test_each_direction_includes_its_limit(name, value, limit, passed):
    assert judged(name, value, limit) is passed


def test_rounding_in_binary_does_not_fail_a_value_at_the_limit():
    (gate,) = judge(facts(top1_drop=0.864 - 0.848), {"top1_drop": 0.016}, defaults={})
    assert 0.864 - 0.848 > 0.016
    assert gate.passed


@pytest.mark.parametrize("name", GATES)
def test_a_value_that_is_no_number_fails_every_gate(name):
    assert not judged(name, math.nan, 0.0)
    assert not judged(name, math.nan, 1e9)


@pytest.mark.parametrize("name", GATES)
def test_a_gate_with_a_given_limit_and_no_value_fails(name):
    (gate,) = judge({}, {name: 0.0}, defaults={})
    assert gate.value is None
    assert gate.passed is False


def test_a_gate_without_a_given_limit_and_a_value_is_not_judged():
    assert judge({}, {}, defaults={"top1_drop": 0.01}) == ()


def test_no_gates_at_all_is_a_failure():
    assert all_passed(()) is False


def test_one_failed_gate_fails_the_verdict():
    good = judge(facts(samples=100, agreement=0.99), {}, defaults={})
    bad = judge(facts(samples=100, agreement=0.5), {}, defaults={})
    assert all_passed(good) is True
    assert all_passed(bad) is False


def test_given_limit_beats_default_beats_table():
    def limit(limits: dict, defaults: dict) -> float:
        (gate,) = judge(facts(top1_drop=0.0), limits, defaults=defaults)
        return gate.limit

    assert limit({"top1_drop": 0.5}, {"top1_drop": 0.4}) == 0.5
    assert limit({}, {"top1_drop": 0.4}) == 0.4
    assert limit({}, {}) == 0.02


@given(NAMES, NUMBERS, NUMBERS, NUMBERS)
def test_a_stricter_limit_never_passes_what_a_looser_one_fails(name, value, one, other):
    low, high = sorted((one, other))
    strict, loose = (high, low) if GATES[name].direction == "at least" else (low, high)
    assert not (judged(name, value, strict) and not judged(name, value, loose))


@given(st.dictionaries(NAMES, NUMBERS | st.just(math.nan)), st.dictionaries(NAMES, NUMBERS))
def test_verdict_passes_only_if_something_was_judged_and_all_of_it_passed(values, limits):
    gates = judge(facts(**values), limits, defaults={})
    assert {gate.name for gate in gates} == set(values) | set(limits)
    if all_passed(gates):
        assert gates
        assert not any(math.isnan(value) for value in values.values())
        assert set(limits) <= set(values)


# An agreement of 0.95 whose interval is 0.93 to 0.97, and the drop that mirrors it.
@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (0.92, Verdict.PASS),
        (0.93, Verdict.PASS),
        (0.931, Verdict.UNDECIDED),
        (0.96, Verdict.UNDECIDED),
        (0.97, Verdict.UNDECIDED),
        (0.971, Verdict.FAIL),
    ],
)
def test_an_interval_decides_only_what_it_lies_beyond(limit, verdict):
    assert verdict_of(Value(value=0.95, ci95=(0.93, 0.97)), limit, "at least") is verdict
    assert verdict_of(Value(value=-0.95, ci95=(-0.97, -0.93)), -limit, "at most") is verdict


def test_an_undecided_gate_fails_only_where_the_verdict_is_strict():
    values = {"agreement": (Value(value=0.89, ci95=(0.85, 0.92)),)}
    (gate,) = judge(values, {}, defaults={})
    (strict,) = judge(values, {}, defaults={}, strict=True)
    assert (gate.verdict, gate.passed) == (Verdict.UNDECIDED, True)
    assert (strict.verdict, strict.passed) == (Verdict.UNDECIDED, False)


def test_more_images_decide_what_few_could_not():
    few, many = (Value(value=0.88, ci95=(0.88 - half, 0.88 + half)) for half in (0.05, 0.01))
    assert verdict_of(few, 0.9, "at least") is Verdict.UNDECIDED
    assert verdict_of(many, 0.9, "at least") is Verdict.FAIL


@pytest.mark.parametrize("ci95", [(math.nan, 0.99), (0.9, math.nan), (0.99, 0.9)])
def test_an_interval_that_is_none_fails(ci95):
    assert verdict_of(Value(value=0.95, ci95=ci95), 0.5, "at least") is Verdict.FAIL


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_verdict_counts_before_the_worst_value(order):
    unsure = Value(value=0.85, ci95=(0.7, 0.95), subject="few images")
    sure = Value(value=0.88, ci95=(0.87, 0.89), subject="many images")
    (gate,) = judge({"agreement": (unsure, sure)[::order]}, {}, defaults={})
    assert (gate.subject, gate.verdict) == ("many images", Verdict.FAIL)


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_verdicts_the_worst_value_counts_and_nan_is_worst(order):
    good, bad = Value(value=0.99, subject="good"), Value(value=0.98, subject="bad")
    (gate,) = judge({"agreement": (good, bad)[::order]}, {}, defaults={})
    assert gate.subject == "bad"
    none = Value(value=math.nan, subject="none")
    (gate,) = judge({"agreement": (Value(value=0.1), none)[::order]}, {}, defaults={})
    assert (gate.subject, gate.passed) == ("none", False)


@given(NAMES, NUMBERS, st.floats(0, 1), st.floats(0, 1), NUMBERS)
def test_strictness_never_passes_more(name, value, below, above, limit):
    values = {name: (Value(value=value, ci95=(value - below, value + above)),)}
    (gate,) = judge(values, {name: limit}, defaults={})
    (strict,) = judge(values, {name: limit}, defaults={}, strict=True)
    assert gate.verdict is strict.verdict
    assert gate.passed or not strict.passed


@given(NAMES, NUMBERS, NUMBERS, st.booleans())
def test_a_value_in_doubt_decides_nothing_and_says_why(name, value, limit, strict):
    values = {name: (Value(value=value, reason="others were at work", is_doubtful=True),)}
    (gate,) = judge(values, {name: limit}, defaults={}, strict=strict)
    assert (gate.verdict, gate.passed, gate.reason) == (Verdict.UNDECIDED, not strict, "others were at work")


def test_a_value_in_doubt_that_is_missing_fails():
    assert verdict_of(Value(value=math.nan, reason="busy", is_doubtful=True), 1, "at least") is Verdict.FAIL


def test_a_reason_is_of_a_gate_that_did_not_pass():
    for value, reason in ((0.0, "another number"), (1.0, None)):
        (gate,) = judge({"labels": (Value(value=value, reason="another number"),)}, {}, defaults={})
        assert gate.reason == reason
