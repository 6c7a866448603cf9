"""Answers to `--pick`: which file, how sure, and what comes nearest where there is none."""

import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from example_sweeps import KINDS, example, of_points, point_of
from hypothesis import assume, given
from hypothesis import strategies as st

from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.sweep.pick import pick
from mbexport.sweep.query import QUANTITIES, parse_query

SWEEP = example()


def answered(text: str, sweep: Any = SWEEP) -> Any:
    return pick(sweep, parse_query(text))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("top1>=0.8", "points/0.5_192/mobilenet_v1_0.5_192_int8.tflite"),
        ("top1>=0.8, format=onnx", "points/0.5_192/mobilenet_v1_0.5_192_int8.onnx"),
        ("top1>=0.8, precision=fp32, smallest", "points/0.5_192/mobilenet_v1_0.5_192_fp32.tflite"),
        ("alpha<=0.25", "points/0.25_224/mobilenet_v1_0.25_224_fp32.tflite"),
        ("mult_adds<=20M", "points/0.25_128/mobilenet_v1_0.25_128_fp32.tflite"),
        ("resolution=160, fastest", "points/0.25_160/mobilenet_v1_0.25_160_int8.tflite"),
        ("point=0.5_160, precision=int8, format=onnx", "points/0.5_160/mobilenet_v1_0.5_160_int8.onnx"),
        ("point=0.5_224, any, fastest", "points/0.5_224/mobilenet_v1_0.5_224_int8.tflite"),
    ],
)
def test_what_is_picked_by_hand(text, path):
    assert answered(text).picked.path == path


def test_an_answer_has_its_figures_and_its_folder():
    sweep = of_points([point_of(PUBLISHED[-1])])
    entry = sweep["points"][0]["artifacts"][2]
    entry |= {"top1": 0.81, "top1_ci95": [0.77, 0.85], "size_bytes": 284_000}
    entry["latency_ms"] = {"p50": 0.7, "p90": 0.8, "ci95": [0.69, 0.71]}
    found = answered("top1>=0.8", sweep)
    assert found.lines() == [
        "0.25_128: int8 tflite, top1 0.81 [0.77, 0.85], latency 0.7 ms [0.69, 0.71], size 0.28 MB, mult_adds 13.3 M",
        "folder: points/0.25_128",
        "file: points/0.25_128/mobilenet_v1_0.25_128_int8.tflite",
        "note: top1 is 0.81 [0.77, 0.85]: the limit of top1>=0.8 lies inside the interval",
    ]
    assert answered("top1>=0.76", sweep).notes == ()


def test_a_point_whose_gate_failed_is_picked_only_when_any_is():
    refused = answered("point=0.5_224")
    assert refused.picked is refused.nearest is None
    assert refused.reason == (
        "no file of a point that passed every gate is point=0.5_224; `any` takes those that failed one, too"
    )
    assert answered("point=0.5_224, any").notes == ("gates failed at this point: agreement",)


def test_the_nearest_miss_is_told():
    found = answered("top1>=0.99")
    assert found.picked is None
    assert found.nearest.point["name"] == "1_224"
    first, second, *_ = found.lines()
    assert first.startswith("nothing was picked by top1>=0.99, smallest: the nearest has top1 0.9387 [")
    assert second.startswith("nearest: 1_224: fp32 onnx, top1 0.9387 [")


def test_the_nearest_misses_the_fewest_limits():
    found = answered("latency<=1ms, top1>=0.9")
    assert found.nearest is not None
    missed = [each for each in found.query.conditions if not each.holds(found.nearest.point, found.nearest.entry)]
    assert len(missed) == 1


def test_what_was_not_measured_is_not_picked():
    sweep = KINDS["not timed"]()
    assert answered("fastest", sweep).reason == "latency was not measured"
    assert "latency not measured for latency<=5ms" in answered("latency<=5ms", sweep).reason
    assert answered("most-accurate", KINDS["unlabelled"]()).reason == "top1 was not measured"
    assert answered("top1>=0.5", KINDS["all failed"]()).reason == "no file of the sweep is there"


def test_equal_files_are_chosen_by_what_else_they_cost():
    twin = point_of(PUBLISHED[-1])
    sweep = of_points([replace(twin, name="b"), replace(twin, name="a")])
    assert answered("smallest", sweep).picked.path.startswith("points/a/")


@cache
def random_terms() -> st.SearchStrategy[list[str]]:
    shares = st.integers(60, 100).map(lambda value: f"top1>={value}%")
    times = st.integers(1, 60).map(lambda value: f"latency<={value}ms")
    sizes = st.integers(1, 20).map(lambda value: f"size<={value}MB")
    costs = st.integers(10, 600).map(lambda value: f"mult_adds<{value}M")
    choices = st.sampled_from(
        ["format=onnx", "precision=int8", "alpha<=0.5", "resolution=128", "resolution>=160", "any"]
    )
    return st.lists(shares | times | sizes | costs | choices, max_size=4)


@given(random_terms(), st.sampled_from(["smallest", "fastest", "cheapest", "most-accurate"]))
def test_the_picked_file_satisfies_all_and_nothing_that_does_is_better(terms, objective):
    found = answered(", ".join([*terms, objective]))
    query = found.query
    fitting = [
        (point, entry)
        for point in SWEEP["points"]
        if query.takes_failed or point["status"] == "passed"
        for entry in point["artifacts"]
        if all(each.holds(point, entry) for each in query.conditions)
    ]
    assert (found.picked is None) is (not fitting)
    if found.picked is None:
        assert found.reason
        return
    assert (found.picked.point, found.picked.entry) in fitting
    value = QUANTITIES[query.objective.quantity].of
    sign = -1 if query.objective.is_most else 1
    best = min(sign * (value(point, entry) or math.inf) for point, entry in fitting)
    assert sign * (value(found.picked.point, found.picked.entry) or math.inf) == best


@given(random_terms())
def test_a_nearest_miss_misses_a_limit_and_no_choice(terms):
    assume(terms)
    found = answered(", ".join(terms))
    if found.nearest is not None:
        held = [each.holds(found.nearest.point, found.nearest.entry) for each in found.query.conditions]
        assert not all(held)
        assert all(ok for ok, each in zip(held, found.query.conditions, strict=True) if not each.is_limit)
    assert json.loads(json.dumps(found.json()))["query"] == found.query.text
