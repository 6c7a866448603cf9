"""Timing under a fake clock: interleaved rounds, which runs count, and intervals of ratios."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbexport.latency.interleaved import PERCENTS, measure, ratio_of_medians, summarize

FEED = np.zeros((1, 1, 1, 3), np.uint8)


def test_every_runner_runs_once_a_round_in_changing_order(clock, runner):
    runners = [runner(name, [1] * 40) for name in "abc"]
    measure(runners, dict.fromkeys("abc", FEED), runs=30, warmup=10)
    rounds = [tuple(clock.calls[i : i + 3]) for i in range(0, len(clock.calls), 3)]
    assert len(rounds) == 40
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) > 3  # of six possible orders


def test_warm_up_is_run_and_not_counted(clock, runner):
    times = measure([runner("a", [1000, 1000, 1000, 4, 5])], {"a": FEED}, runs=2, warmup=3)
    assert times["a"] == pytest.approx([4, 5])
    assert len(clock.calls) == 5


def test_one_that_has_fewer_runs_takes_part_in_as_many_rounds_spread_over_all(clock, runner):
    runners = [runner("often", [1] * 200), runner("rarely", [9] * 50)]
    feeds = {"often": FEED, "rarely": FEED}
    times = measure(runners, feeds, runs={"often": 100, "rarely": 20}, warmup={"often": 2, "rarely": 1})
    assert {name: len(each) for name, each in times.items()} == {"often": 100, "rarely": 20}
    assert (clock.calls.count("often"), clock.calls.count("rarely")) == (102, 21)
    places = [place for place, name in enumerate(clock.calls) if name == "rarely"][1:]
    assert min(places) < 40
    assert max(places) > 80
    assert set(times["rarely"].round(6)) == {9.0}


def test_times_are_milliseconds_of_each_runner_alone(runner):
    runners = [runner("slow", [20, 21]), runner("fast", [2, 3])]
    times = measure(runners, {"slow": FEED, "fast": FEED}, runs=2, warmup=0)
    assert times["slow"] == pytest.approx([20, 21])
    assert times["fast"] == pytest.approx([2, 3])


def test_same_seed_gives_the_same_order(clock, runner):
    orders = []
    for seed in (7, 7, 8):
        clock.calls = []
        runners = [runner(name, [1] * 20) for name in "ab"]
        measure(runners, {"a": FEED, "b": FEED}, runs=20, warmup=0, seed=seed)
        orders.append(clock.calls)
    assert orders[0] == orders[1] != orders[2]


def test_each_runner_gets_its_own_feed(runner, monkeypatch):
    seen = {}
    runners = [runner(name, [1]) for name in "ab"]
    for one in runners:
        monkeypatch.setattr(one, "invoke", lambda feed, name=one.name: seen.setdefault(name, feed))
    feeds = {"a": FEED, "b": FEED + 1}
    measure(runners, feeds, runs=1, warmup=0)
    assert seen["a"] is feeds["a"]
    assert seen["b"] is feeds["b"]


def test_progress_counts_warm_up_rounds_too(runner):
    steps = []
    measure([runner("a", [1] * 3)], {"a": FEED}, runs=2, warmup=1, on_step=lambda *step: steps.append(step))
    assert steps == [(1, 3, "rounds"), (2, 3, "rounds"), (3, 3, "rounds")]


def test_percentiles_by_hand():
    found = summarize(np.array([10.0, 1.0, 2.0, 4.0, 3.0]))
    assert found.runs == 5
    # Linear between neighbours: rank 3.6 of 4 is 4 + 0.6 * (10 - 4), rank 3.96 is 4 + 0.96 * (10 - 4).
    assert (found.p50_ms, found.p90_ms, found.p99_ms) == pytest.approx((3.0, 7.6, 9.76))


def test_percentiles_of_0_to_100_are_themselves():
    found = summarize(np.arange(101.0))
    assert (found.p50_ms, found.p90_ms, found.p99_ms) == pytest.approx((50, 90, 99))
    assert found.percentiles_ms == pytest.approx(PERCENTS)
    assert PERCENTS == (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)


TIMES = st.lists(st.floats(0.01, 100), min_size=1, max_size=30).map(np.array)


@given(TIMES)
def test_percentiles_rise_and_lie_between_the_extremes(times):
    found = summarize(times)
    values = [times.min(), found.p50_ms, found.p90_ms, found.p99_ms, times.max()]
    assert all(low <= high + 1e-9 for low, high in pairwise(values))


@settings(max_examples=25)
@given(TIMES, st.floats(0.1, 10))
def test_ratio_of_scaled_times_is_the_scale_beyond_doubt(times, scale):
    # Whole rounds are drawn, so what slows both alike cancels in every resample.
    found = ratio_of_medians({"a": times * scale, "b": times}, "a", "b")
    assert (found.ratio, *found.ci95) == pytest.approx((scale,) * 3)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_interval_of_the_same_times_twice_holds_1(seed):
    times = np.random.default_rng(seed).lognormal(sigma=0.3, size=50)
    low, high = ratio_of_medians({"a": times, "b": times.copy()}, "a", "b").ci95
    assert low <= 1 <= high


def test_interval_covers_the_true_ratio_in_about_95_of_100():
    rng, hits = np.random.default_rng(1), 0
    for _ in range(60):
        a, b = 1.5 * rng.lognormal(sigma=0.2, size=60), rng.lognormal(sigma=0.2, size=60)
        low, high = ratio_of_medians({"a": a, "b": b}, "a", "b").ci95
        hits += low <= 1.5 <= high
    assert 51 <= hits < 60  # 95 % of 60 is 57; an interval that always held would be too wide


def test_interval_of_clearly_different_times_leaves_1_out():
    rng = np.random.default_rng(2)
    times = {"a": rng.normal(1, 0.05, 100), "b": rng.normal(2, 0.05, 100)}
    found = ratio_of_medians(times, "a", "b")
    assert (found.a, found.b) == ("a", "b")
    assert found.ci95[0] < found.ratio < found.ci95[1] < 0.6
