"""sweep.json: what stands in it by hand, the schema it has, and what does not depend on the order of its points."""

import copy
import json
import random
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from example_sweeps import GATE, KINDS, latencies, of_points, point_of, points
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mbexport.errors import DataError
from mbexport.latency.machine import Conditions
from mbexport.latency.sittings import Timings
from mbexport.models.mobilenet_v1.published import PUBLISHED
from mbexport.report.content import to_bytes
from mbexport.report.schema import report_schema, sweep_schema
from mbexport.sweep.results import SWEEP, latencies_of, read_sweep

FIRST = point_of(PUBLISHED[-1])  # alpha 0.25 at 128 px
SECOND = point_of(PUBLISHED[0])  # alpha 1 at 224 px


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(sweep_schema())


def objections(sweep: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator().iter_errors(sweep)]


def test_a_point_by_hand():
    sweep = of_points([FIRST])
    (point,) = sweep["points"]
    assert (point["name"], point["folder"], point["resolution_px"]) == ("0.25_128", "points/0.25_128", 128)
    assert (point["status"], point["failed_gates"], sweep["passed"]) == ("passed", [], True)
    assert (sweep["data"], sweep["test_images"], sweep["threads"]) == ("photos", 734, 1)
    assert [each["file"] for each in point["artifacts"]] == [
        "mobilenet_v1_0.25_128_fp32.tflite",
        "mobilenet_v1_0.25_128_fp32.onnx",
        "mobilenet_v1_0.25_128_int8.tflite",
        "mobilenet_v1_0.25_128_int8.onnx",
    ]
    timed = latencies([FIRST])["points/0.25_128/mobilenet_v1_0.25_128_int8.tflite"]
    found = point["artifacts"][2]["latency_ms"]
    assert found["p50"] == round(timed.median.value, 6)
    assert found["ci95"][0] < found["p50"] < found["ci95"][1] < found["p90"]


def test_fronts_are_those_of_a_format():
    sweep = of_points([replace(each, report=exact_report(each)) for each in (FIRST, SECOND)])
    small, large = (point["artifacts"] for point in sweep["points"])
    for files in (small, large):
        assert [each["front"]["size"] for each in files] == ["dominated", "dominated", "on", "on"]
        assert [each["front"]["mult_adds"] for each in files] == ["on"] * 4
    assert small[0]["dominated_by"]["size"] == ["points/0.25_128/mobilenet_v1_0.25_128_int8.tflite"]
    assert small[1]["dominated_by"]["size"] == ["points/0.25_128/mobilenet_v1_0.25_128_int8.onnx"]


def exact_report(point: Any) -> Any:
    """The report of a point whose accuracies are known exactly: fp32 and int8 of it are equal."""
    report = copy.deepcopy(point.report)
    for entry in report["artifacts"]:
        entry |= {"top1": point.alpha / 2, "top1_ci95": [point.alpha / 2] * 2}
    return report


def test_points_that_failed_are_told_as_such():
    sweep = of_points(points())
    told = {each["name"]: (each["status"], each["failed_gates"]) for each in sweep["points"]}
    assert told.pop("1_192") == ("failed", [])
    assert told.pop("0.5_224") == ("gate_failed", ["agreement"])
    assert set(map(str, told.values())) == {"('passed', [])"}
    assert not sweep["passed"]


def test_a_gate_on_speed_fails_its_point():
    slow = {**GATE, "point": "1_224", "name": "int8_speedup"}
    sweep = of_points([FIRST, SECOND], speed_gates=[slow])
    assert [each["status"] for each in sweep["points"]] == ["passed", "gate_failed"]
    assert sweep["points"][1]["failed_gates"] == ["int8_speedup"]
    assert objections(sweep) == []
    fast = {**slow, "passed": True, "verdict": "pass", "value": 2.0}
    assert of_points([FIRST, SECOND], speed_gates=[fast])["passed"]


@pytest.mark.parametrize("code", [2, 3])
def test_a_run_that_failed_has_no_files_even_where_it_left_a_report(code):
    (point,) = of_points([replace(FIRST, exit_code=code)])["points"]
    assert (point["status"], point["artifacts"]) == ("failed", [])


def test_what_was_not_measured_has_no_place_on_a_front():
    (point,) = of_points([FIRST], is_timed=False)["points"]
    assert {each["front"]["latency"] for each in point["artifacts"]} == {None}
    assert None not in {each["front"]["size"] for each in point["artifacts"]}


@given(st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(chance: random.Random):
    made = points()
    chance.shuffle(made)
    assert json.dumps(of_points(made)) == json.dumps(of_points(points()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sweep_has_the_schema(kind):
    assert objections(KINDS[kind]()) == []


def test_the_schema_is_one_and_hides_nothing_of_the_reports():
    Draft202012Validator.check_schema(sweep_schema())
    published = {name: node for name, node in sweep_schema()["$defs"].items() if name in report_schema()["$defs"]}
    assert published == report_schema()["$defs"]


SMALL = of_points([FIRST])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key in every object."""
    inner = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    keys = [(*path, key) for key in value] if isinstance(value, dict) else []
    return keys + [place for key, item in inner for place in places(item, (*path, key))]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@given(st.sampled_from(places(SMALL)))
def test_a_key_that_is_missing_is_missed(place):
    sweep = copy.deepcopy(SMALL)
    del at(sweep, place[:-1])[place[-1]]
    assert not validator().is_valid(sweep)


@given(st.sampled_from([place for place in places(SMALL) if isinstance(at(SMALL, place), dict)]))
def test_a_key_that_nobody_knows_is_refused(place):
    sweep = copy.deepcopy(SMALL)
    at(sweep, place)["surprise"] = 1
    assert not validator().is_valid(sweep)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("points", 0, "artifacts", 0, "top1"), 1.5),
        (("points", 0, "artifacts", 0, "front", "size"), "maybe"),
        (("points", 0, "artifacts", 0, "format"), "coreml"),
        (("points", 0, "status"), "lost"),
        (("points", 0, "status"), "failed"),
        (("points", 0, "exit_code"), 3),
        (("passed",), "yes"),
        (("points",), []),
    ],
)
def test_impossible_values_are_refused(path, value):
    sweep = copy.deepcopy(SMALL)
    at(sweep, path[:-1])[path[-1]] = value
    assert not validator().is_valid(sweep)


def test_a_document_is_read_back_and_anything_else_is_refused(tmp_path):
    path = tmp_path / SWEEP
    path.write_bytes(to_bytes(SMALL))
    assert read_sweep(path) == SMALL
    path.write_bytes(to_bytes({**SMALL, "points": [{**SMALL["points"][0], "alpha": "wide"}]}))
    with pytest.raises(DataError, match=r"is not the sweep.json of mbexport: points\[0\].alpha must be"):
        read_sweep(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_sweep(tmp_path / "nothing.json")


@pytest.mark.parametrize("name", ["../../etc", "/etc", "points/../..", "", "a\nb", "\x1b[2J", "a\\b"])
def test_points_and_files_lie_in_the_sweeps_folder(tmp_path, name):
    for place in (("points", 0, "folder"), ("points", 0, "artifacts", 0, "file")):
        sweep = copy.deepcopy(SMALL)
        at(sweep, place[:-1])[place[-1]] = name
        (tmp_path / SWEEP).write_bytes(to_bytes(sweep))
        with pytest.raises(DataError, match=r"is not the sweep.json of mbexport: ") as refused:
            read_sweep(tmp_path / SWEEP)
        assert "\n" not in str(refused.value)


def test_the_latency_of_a_file_is_that_of_its_sittings():
    sittings = tuple(np.full(9, median) for median in (2.0, 2.0, 2.1, 1.9))
    timings = Timings(times_ms={("a", 1): sittings, ("a", 2): sittings, ("b", 2): sittings}, conditions=Conditions())
    assert latencies_of(timings, threads=1).keys() == {"a"}
    found = latencies_of(timings, threads=2)
    assert found.keys() == {"a", "b"}
    assert found["a"].median.low < 2.0 < found["a"].median.high
    assert found["a"].median == timings.median("a", 2)
    assert found["a"].p90_ms == pytest.approx(2.1)
