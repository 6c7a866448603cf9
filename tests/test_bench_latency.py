"""Tests of the benchmark of speed: its verdict fails closed, and a file that cannot be timed costs one row only."""

import importlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mbexport.formats.kernels import DELEGATE, Arithmetic, KernelRow, Kernels
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

BENCH = Path(__file__).resolve().parent / "bench"
INT8, FP32, PTQ = "ours, int8", "ours, fp32", "TFLite PTQ"
CONVOLUTIONS = KernelRow(op="CONV_2D", count=28, arithmetic=Arithmetic.INTEGER, executor=DELEGATE, inputs=("int8",))


@pytest.fixture(scope="module")
def bench() -> Iterator[dict[str, ModuleType]]:
    """The modules of the benchmark, which are found beside its script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        names = ("peers.making", "quality.judging", "latency.networks", "latency.timing", "latency.table")
        yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def found(bench):
    """What was measured of .tflite files, given the milliseconds and the bytes of each; 28 integer kernels."""

    def make(times_ms, *, sizes=None, failed=(), threads=1):
        make_row, make_made = bench["timing"].Row, bench["making"].Made
        rows = [
            make_row(
                made=make_made(alpha=0.25, name=name, suffix="tflite", path=Path(f"{name}.tflite")),
                size_bytes=(sizes or {}).get(name, 1000),
                kernels=Kernels(rows=(CONVOLUTIONS,)),
                p50_ms=float(np.median(values)),
            )
            for name, values in times_ms.items()
        ]
        rows += [make_row(made=make_made(alpha=0.25, name=name, suffix="tflite", reason="no a|b")) for name in failed]
        return bench["timing"].Timed(
            title="0.25/128",
            threads=threads,
            rows=tuple(rows),
            times_ms={(name, "tflite"): np.asarray(values, float) for name, values in times_ms.items()},
        )

    return make


@pytest.fixture(scope="module")
def verdict(bench):
    """What is said of a target of the .tflite in what was measured."""

    def judge(quantity, other, limit, found):
        target = bench["table"].Target(title="0.25/128", suffix="tflite", quantity=quantity, other=other, limit=limit)
        return bench["table"].verdict(target, found)

    return judge


def test_a_latency_is_the_ratio_of_medians(verdict, found):
    measured = found({INT8: [2.0] * 9, PTQ: [2.5] * 9})

    said = verdict("latency", PTQ, 1.0, measured)

    assert said == (
        "target 0.25/128, 1 thread, int8 .tflite: latency <= 1.00 x TFLite PTQ reached: x 0.800 [0.800, 0.800]"
    )
    assert verdict("latency", PTQ, 0.79, measured).endswith("missed: x 0.800 [0.800, 0.800]")


def test_a_speedup_is_the_others_time_over_our_own(verdict, found):
    measured = found({INT8: [2.0] * 9, FP32: [3.6] * 9}, threads=2)

    assert verdict("speedup", FP32, 1.8, measured) == (
        "target 0.25/128, 2 threads, int8 .tflite: speedup >= 1.80 x ours, fp32 reached: x 1.800 [1.800, 1.800]"
    )
    assert verdict("speedup", FP32, 2.0, measured).endswith("missed: x 1.800 [1.800, 1.800]")


def test_a_size_is_a_share_of_the_others_bytes(verdict, found):
    measured = found({INT8: [1.0], FP32: [1.0]}, sizes={INT8: 280, FP32: 1000})

    assert verdict("size", FP32, 0.28, measured).endswith("int8 .tflite: size <= 0.28 x ours, fp32 reached: x 0.280")
    assert verdict("size", FP32, 0.27, measured).endswith("missed: x 0.280")


def test_what_carries_a_verdict_is_said(verdict, found):
    """In six of eleven rounds ours takes 10 % longer, in five it is as fast: the interval is [1, 1.1]."""
    slower = found({INT8: [1.1] * 6 + [1.0] * 5, PTQ: [1.0] * 11})
    faster = found({INT8: [1.0] * 6 + [1.1] * 5, PTQ: [1.0] * 11})

    assert verdict("latency", PTQ, 1.0, slower).endswith(" reached by the interval: x 1.100 [1.000, 1.100]")
    assert verdict("latency", PTQ, 1.0, faster).endswith(" reached by the median: x 1.000 [1.000, 1.100]")
    assert verdict("latency", PTQ, 1.1, faster).endswith(" reached: x 1.000 [1.000, 1.100]")
    assert verdict("latency", PTQ, 0.99, faster).endswith(" missed: x 1.000 [1.000, 1.100]")
    assert verdict("speedup", PTQ, 0.95, slower).endswith(" reached by the interval: x 0.909 [0.909, 1.000]")


def test_an_interval_as_wide_as_a_busy_machine_makes_it_decides_nothing(verdict, found):
    measured = found({INT8: [0.5] * 6 + [0.9] * 5, PTQ: [1.0] * 11})

    assert verdict("latency", PTQ, 1.0, measured).endswith("missed: too uncertain: x 0.500 [0.500, 0.900]")


@pytest.mark.parametrize("quantity", ["latency", "speedup", "size"])
def test_what_was_not_measured_is_missed(verdict, found, quantity):
    limit = 0.0 if quantity == "speedup" else math.inf

    for measured in (
        found({}),
        found({INT8: [1.0]}),
        found({PTQ: [1.0]}),
        found({PTQ: [1.0]}, failed=[INT8]),
        found({INT8: [1.0]}, failed=[PTQ]),
    ):
        assert verdict(quantity, PTQ, limit, measured).endswith("missed: not measured")


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=20), st.integers(-5, 5))
def test_a_latency_is_reached_exactly_if_every_round_takes_no_longer(verdict, found, times_ms, exponent):
    measured = found({INT8: [value * 2.0**exponent for value in times_ms], PTQ: times_ms})

    assert (" reached: " in verdict("latency", PTQ, 1.0, measured)) == (exponent <= 0)
    assert (" reached: " in verdict("speedup", PTQ, 1.0, measured)) == (exponent <= 0)


def test_every_row_of_a_table_has_as_many_cells_as_its_head(bench, found):
    measured = found({INT8: [2.0] * 5, PTQ: [4.0] * 5, FP32: [6.0] * 5}, sizes={INT8: 250}, failed=["naive"])

    lines = bench["table"].markdown(measured).splitlines()[2:]

    assert {line.count("|") for line in lines if line} == {9}
    assert lines[2] == (
        "| ours, int8 | .tflite | 2.00 | 0.50 [0.50, 0.50] | 3.00 [3.00, 3.00] | 28 of 28 | 0.00 | 0.250 |"
    )
    assert "failed: no a/b" in lines[-1]


def test_a_ratio_without_its_baseline_is_left_open(bench, found):
    line = bench["table"].markdown(found({INT8: [2.0] * 5})).splitlines()[-1]

    assert line == "| ours, int8 | .tflite | 2.00 | - | - | 28 of 28 | 0.00 | - |"


def test_each_network_has_its_targets(bench):
    found = bench["table"].targets(["a", "b"], referenced=["b"], fast="a")

    def asked(title):
        return [(t.suffix, t.quantity, t.other, t.limit) for t in found if t.title == title]

    shared = [
        ("onnx", "latency", "onnxruntime quantize_static", 1.0),
        ("onnx", "size", FP32, 0.28),
        ("tflite", "latency", PTQ, 1.0),
        ("tflite", "size", FP32, 0.28),
    ]
    assert asked("a") == [*shared, ("onnx", "speedup", FP32, 1.8), ("tflite", "speedup", FP32, 2.0)]
    assert asked("b") == [*shared, ("tflite", "latency", "Google's reference", 1.0)]


def tiny(path: Path, resolution_px: int) -> Path:
    """A network that averages its image into three scores."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, resolution_px, resolution_px, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])
    node = helper.make_node("ReduceMean", ["image"], ["scores"], axes=[1, 2], keepdims=0)
    graph = helper.make_graph([node], "tiny", [image], [scores])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_file_that_cannot_be_timed_is_a_row_with_its_reason(bench, tmp_path):
    make = bench["making"].Made
    good = make(alpha=1.0, name=FP32, suffix="onnx", path=tiny(tmp_path / "good.onnx", 4))
    larger = make(alpha=1.0, name="larger", suffix="onnx", path=tiny(tmp_path / "larger.onnx", 8))
    broken = make(alpha=1.0, name=INT8, suffix="onnx", path=tmp_path / "broken.onnx")
    broken.path.write_bytes(b"no graph")
    none = make(alpha=1.0, name="peer", suffix="onnx", reason="it broke")
    image = np.zeros((1, 4, 4, 3), np.uint8)

    found = bench["timing"].timed(
        [good, larger, broken, none],
        image,
        Preprocess(resolution=Resolution.square(4)),
        title="1/4",
        threads=2,
        rounds=bench["judging"].Rounds(runs=3, warmup=1),
    )

    assert [row.made.path for row in found.rows] == [good.path, None, None, None]
    assert found.find(INT8, "onnx") is None
    assert list(found.times_ms) == [(FP32, "onnx")]
    assert found.times_ms[FP32, "onnx"].shape == (3,)
    assert found.rows[0].p50_ms == np.median(found.times_ms[FP32, "onnx"])
    assert found.rows[3].made.reason == "it broke"
    assert all(row.made.reason for row in found.rows[1:])


def test_an_export_that_fails_is_tried_once_and_said_in_every_row(bench, tmp_path, monkeypatch):
    tried = []

    def export(*given):
        tried.append(given)
        raise bench["making"].ProcessError("Error: the disk is full")

    monkeypatch.setattr(bench["networks"], "export", export)
    network = bench["networks"].Network(alpha=0.25, resolution_px=128, weights=None)

    rows = bench["networks"].exported(network, tmp_path, None, tmp_path)

    assert len(tried) == 1
    assert len(rows) == 6
    assert {row.reason for row in rows} == {"Error: the disk is full"}


def test_without_the_shared_data_it_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCH / "bench_latency.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MBEXPORT_SHARED_DATA": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "MBEXPORT_SHARED_DATA" in done.stderr
