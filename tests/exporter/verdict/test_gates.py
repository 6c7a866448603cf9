"""The verdict: each direction, what fails closed, and where the limits come from."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import OptionError
from mbexport.models.published import PUBLISHED
from mbexport.models.spec import ModelSpec
from mbexport.verdict.gates import GATES, all_passed, check_limits, default_limits, judge

NAMES = st.sampled_from(sorted(GATES))
NUMBERS = st.floats(min_value=0, max_value=1e6)


def judged(name: str, value: float, limit: float) -> bool:
    (gate,) = judge({name: value}, {name: limit}, defaults={})
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


def test_rounding_in_binary_does_not_fail_a_limit_that_is_kept():
    (gate,) = judge({"top1_drop": 0.864 - 0.848}, {"top1_drop": 0.016}, defaults={})
    assert 0.864 - 0.848 > 0.016
    assert gate.passed


@pytest.mark.parametrize("name", GATES)
def test_a_value_that_is_no_number_fails_every_gate(name):
    assert not judged(name, math.nan, 0.0)
    assert not judged(name, math.nan, 1e9)


@pytest.mark.parametrize("name", GATES)
def test_what_was_asked_for_and_not_measured_fails(name):
    (gate,) = judge({}, {name: 0.0}, defaults={})
    assert gate.value is None
    assert gate.passed is False


def test_what_was_neither_measured_nor_asked_for_is_not_judged():
    assert judge({}, {}, defaults={"top1_drop": 0.01}) == ()


def test_no_gates_at_all_is_a_failure():
    assert all_passed(()) is False


def test_one_failed_gate_fails_the_verdict():
    good = judge({"samples": 100, "agreement": 0.99}, {}, defaults={})
    bad = judge({"samples": 100, "agreement": 0.5}, {}, defaults={})
    assert all_passed(good) is True
    assert all_passed(bad) is False


def test_given_limit_beats_default_beats_table():
    def limit(limits: dict, defaults: dict) -> float:
        (gate,) = judge({"top1_drop": 0.0}, limits, defaults=defaults)
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
    gates = judge(values, limits, defaults={})
    assert {gate.name for gate in gates} == set(values) | set(limits)
    if all_passed(gates):
        assert gates
        assert not any(math.isnan(value) for value in values.values())
        assert set(limits) <= set(values)


@pytest.mark.parametrize("name", ["foo", "", "Agreement", "agreement "])
def test_unknown_gate_is_an_option_error_that_names_the_known_ones(name):
    with pytest.raises(OptionError, match=r"gate must be one of .*agreement.*got"):
        check_limits({name: 1.0})


@pytest.mark.parametrize("limit", [math.nan, -0.001, -math.inf])
def test_limit_that_is_no_number_of_at_least_0_is_an_option_error(limit):
    with pytest.raises(OptionError, match="the limit of gate agreement must be a number of at least 0"):
        check_limits({"agreement": limit})


def test_legal_limits_are_accepted():
    check_limits(dict.fromkeys(GATES, 0.0) | {"agreement": 1.01})


def test_default_drop_is_what_googles_own_checkpoint_lost(facts):
    limits = default_limits(facts(ModelSpec(alpha=0.75, resolution_px=128)))
    assert limits["top1_drop"] == 0.023  # 62.1 % -> 59.8 %


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.alpha}_{row.resolution_px}")
def test_no_published_checkpoint_fails_its_own_default_limit(facts, row):
    limits = default_limits(facts(ModelSpec(alpha=row.alpha, resolution_px=row.resolution_px)))
    assert limits["top1_drop"] == pytest.approx(row.top1_float - row.top1_int8, abs=1e-9)


def test_default_size_limit_by_hand(facts):
    # 221,114 parameters of 4 bytes: 0.28 + 131072 / 884456 = 0.28 + 0.14820
    assert default_limits(facts(ModelSpec(alpha=0.25, resolution_px=32, classes=10)))["size_ratio"] == 0.4282
    # 4,253,864 parameters: 0.28 + 131072 / 17015456 = 0.28 + 0.00770
    assert default_limits(facts(ModelSpec()))["size_ratio"] == 0.2877


def test_network_of_common_size_must_not_get_slower(facts):
    limits = default_limits(facts(ModelSpec(alpha=0.25, resolution_px=128)))
    assert limits.get("int8_speedup", GATES["int8_speedup"].limit) == 1.0


@pytest.mark.parametrize(
    ("mult_adds", "limit"), [(1, 0.5), (999_999, 0.5), (1_000_000, 0.8), (9_999_999, 0.8), (10_000_000, 1.0)]
)
def test_speed_that_is_asked_for_depends_on_the_work_that_there_is(facts, mult_adds, limit):
    assert default_limits(facts(ModelSpec(), mult_adds=mult_adds))["int8_speedup"] == limit


def test_network_of_unknown_alpha_may_lose_what_the_table_says(facts):
    limits = default_limits(facts(ModelSpec(alpha=0.75, resolution_px=128), alpha=None))
    (gate,) = judge({"top1_drop": 0.0}, {}, defaults=limits)
    assert gate.limit == GATES["top1_drop"].limit == 0.02
    assert limits["size_ratio"] == default_limits(facts(ModelSpec(alpha=0.75)))["size_ratio"]


@given(alpha=st.floats(0.01, 1), px=st.integers(1, 16).map(lambda step: 32 * step), classes=st.integers(2, 2000))
def test_default_limits_are_legal_for_every_network(facts, alpha, px, classes):
    limits = default_limits(facts(ModelSpec(alpha=alpha, resolution_px=px, classes=classes)))
    check_limits(limits)
    assert limits["size_ratio"] > 0.28
