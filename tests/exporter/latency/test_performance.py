"""The keys of the report: exactly those that the page and the tables read."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbexport.artifact import Precision
from mbexport.latency.interleaved import Ratio
from mbexport.latency.machine import Conditions, machine_json
from mbexport.latency.performance import Performance, Speed, performance_json, ratio_json
from mbexport.latency.probe import Probe
from mbexport.latency.sittings import Timings
from mbexport.latency.throughput import Throughput

EXAMPLE = Path(__file__).resolve().parent.parent / "report" / "example_report.json"
PROBE = Probe(load_ms=1.23456, first_inference_ms=2, total_ms=3.5, peak_memory_bytes=1000, processes=3)
THROUGHPUTS = (
    Throughput(batch=1, threads=2, images_per_s=123.456),
    Throughput(batch=8, threads=2, images_per_s=None, reason="the file takes 1 image(s) at a time"),
)


@pytest.fixture
def timings() -> Timings:
    return Timings(
        times_ms={("a.onnx", 2): (np.array([1.0]), np.array([2.0])), ("a.onnx", 1): (np.array([3.0, 4.0, 5.00049]),)},
        conditions=Conditions(),
    )


@pytest.fixture(scope="module")
def example():
    return json.loads(EXAMPLE.read_bytes())


def shape_of(value):
    """The keys of a value and of all in it; of lists, of their first."""
    if isinstance(value, dict):
        return {key: shape_of(each) for key, each in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_an_artifact_has_the_keys_of_the_example(timings, example):
    found = performance_json("a.onnx", timings, probe=PROBE, throughputs=THROUGHPUTS)
    assert shape_of(found) == {key: shape_of(example["artifacts"][0][key]) for key in found}
    assert json.loads(json.dumps(found)) == found


def test_an_artifact_by_hand(timings):
    found = performance_json("a.onnx", timings, probe=PROBE, throughputs=THROUGHPUTS)
    percentiles = found["latency_ms"].pop("percentiles")
    assert found == {
        "latency_ms": {"p50": 4.0, "p90": 4.8, "p99": 4.98, "runs": 3},
        "threads": [
            {"threads": 1, "p50": 4.0, "p90": 4.8, "p99": 4.98, "runs": 3},
            {"threads": 2, "p50": 1.5, "p90": 1.9, "p99": 1.99, "runs": 2},
        ],
        "cold_start_ms": {"load": 1.235, "first_inference": 2, "total": 3.5, "processes": 3},
        "peak_memory_bytes": 1000,
        "throughput": [
            {"batch": 1, "threads": 2, "images_per_s": 123.5, "reason": None},
            {"batch": 8, "threads": 2, "images_per_s": None, "reason": "the file takes 1 image(s) at a time"},
        ],
    }
    assert [percent for percent, _ in percentiles] == list(range(0, 101, 5))
    assert (percentiles[0], percentiles[10], percentiles[-1]) == ([0, 3.0], [50, 4.0], [100, 5.0])


def test_what_was_not_measured_is_null(timings):
    found = performance_json("a.onnx", timings)
    assert (found["cold_start_ms"], found["peak_memory_bytes"], found["throughput"]) == (None, None, [])


def test_ratio_and_machine_have_the_keys_of_the_example(example):
    found = ratio_json(Ratio(a="a", b="b", ratio=2.0, ci95=(1.5, 2.5), threads=2))
    assert found == {"a": "a", "b": "b", "latency_ratio": 2.0, "latency_ratio_ci95": [1.5, 2.5], "threads": 2}
    assert set(found) == set(example["speedups"][0])
    assert set(machine_json()) == set(example["machine"])


def test_files_are_faster_than_those_of_their_format_that_give_the_same(tmp_path):
    def file(name: str, precision: Precision, outputs: int) -> SimpleNamespace:
        (tmp_path / name).touch()
        runner = SimpleNamespace(path=tmp_path / name, precision=precision, outputs=(None,) * outputs)
        return SimpleNamespace(name=name, runner=runner)

    files = [
        file(f"{precision}{ending}", precision, outputs)
        for precision in (Precision.FP32, Precision.INT8)
        for ending, outputs in ((".tflite", 4), (".onnx", 4), ("_raw.tflite", 2))
    ]
    times = {(each.name, 1): (np.array([1.0, 1.0]), np.array([1.0, 1.0])) for each in files}
    speed = Speed(performance=Performance(timings=Timings(times_ms=times, conditions=Conditions()), throughputs={}))
    assert [(ratio["a"], ratio["b"]) for ratio in speed.speedups(files)] == [
        ("fp32.tflite", "int8.tflite"),
        ("fp32.onnx", "int8.onnx"),
        ("fp32_raw.tflite", "int8_raw.tflite"),
    ]
