"""Processes that measure one file: real ones on small files, what they measure, and how their failures are reported."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tflite_by_hand import tflite_of

from mbexport.errors import DataError, StageError
from mbexport.latency import probe as probing
from mbexport.latency import probe_process as probe
from mbexport.latency.probe import probe_all
from mbexport.latency.probe_process import probe_file

MIB = 2**20
WEIGHTS_MIB = 32


@pytest.fixture
def small_tflite(tmp_path) -> Path:
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite_of("uint8"))
    return path


def write_large_onnx(path: Path) -> Path:
    """A matrix of 32 MiB, and an image of 4 numbers."""
    weights = np.ones((4, WEIGHTS_MIB * MIB // 16), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["image", "weights"], ["scores"])],
        "large",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 4))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, weights.shape[1]))],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_each_file_is_probed_in_processes_of_its_own(small_tflite, colour_network, tmp_path):
    other, steps = colour_network(tmp_path / "colours.onnx"), []
    found = probe_all(
        {"small.tflite": small_tflite, "colours.onnx": other}, processes=2, on_step=lambda *step: steps.append(step)
    )
    assert set(found) == {"small.tflite", "colours.onnx"}
    for each in found.values():
        assert each.processes == 2
        assert each.load_ms > 0
        assert each.first_inference_ms > 0
        assert each.total_ms > max(each.load_ms, each.first_inference_ms)
    assert steps == [(place, 4, "processes") for place in (1, 2, 3, 4)]


def test_memory_is_that_of_the_file_and_not_of_the_runtime(tmp_path, colour_network):
    large, small = write_large_onnx(tmp_path / "large.onnx"), colour_network(tmp_path / "small.onnx")
    found = probe_all({"large.onnx": large, "small.onnx": small}, processes=1)
    assert found["large.onnx"].peak_memory_bytes > 0.9 * WEIGHTS_MIB * MIB
    assert found["small.onnx"].peak_memory_bytes < 0.5 * WEIGHTS_MIB * MIB


def test_medians_by_hand(monkeypatch, tmp_path):
    rows = iter(
        {"load_ms": load, "first_inference_ms": first, "peak_memory_bytes": peak}
        for load, first, peak in ((1, 20, 300), (2, 10, 100), (30, 3, 200))
    )
    monkeypatch.setattr(probing, "_probe", lambda _path, _threads: next(rows))
    found = probe_all({"a.onnx": tmp_path / "a.onnx"}, processes=3)["a.onnx"]
    assert (found.load_ms, found.first_inference_ms, found.peak_memory_bytes) == (2, 10, 200)
    assert found.total_ms == 21  # of 21, 12 and 33: not the sum of the medians


@pytest.fixture
def fake_memory(monkeypatch):
    """Fake memory sizes, one after the other; `is_reset`: whether the system can reset a peak."""

    def remember(*, resident, peaks, is_reset):
        values = {"_resident_bytes": iter(resident), "_peak_bytes": iter(peaks)}
        for name, numbers in values.items():
            monkeypatch.setattr(probe, name, lambda numbers=numbers: next(numbers))
        monkeypatch.setattr(probe, "_reset_peak", lambda: is_reset)

    return remember


@pytest.mark.parametrize(
    ("memory", "wanted"),
    [
        ({"is_reset": True, "resident": [100], "peaks": [100, 170]}, 70),
        ({"is_reset": False, "resident": [100], "peaks": [120, 170]}, 70),
        ({"is_reset": False, "resident": [100, 130], "peaks": [150, 150]}, 30),
        ({"is_reset": True, "resident": [100], "peaks": [100, 90]}, 0),
    ],
    ids=["reset", "a higher peak", "hidden by an earlier peak", "never below zero"],
)
def test_memory_by_hand(small_tflite, fake_memory, memory, wanted):
    fake_memory(**memory)
    assert probe_file(small_tflite, threads=1)["peak_memory_bytes"] == wanted


def test_without_proc_the_peak_is_what_the_system_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(probe, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(probe, "_CLEAR_REFS", tmp_path / "none" / "here")
    assert probe._reset_peak() is False
    assert 16 * MIB < probe._peak_bytes() < 2**40


def test_a_missing_or_damaged_file_is_one_line(tmp_path):
    (tmp_path / "damaged.onnx").write_bytes(b"garbage")
    (tmp_path / "damaged.tflite").write_bytes(b"garbage")
    for name, said in (
        ("missing.onnx", "^no such file"),
        ("damaged.onnx", "cannot be loaded: "),
        ("damaged.tflite", "cannot be loaded: "),
    ):
        with pytest.raises(DataError, match=said) as caught:
            probe_all({name: tmp_path / name}, processes=1)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (SimpleNamespace(returncode=-9, stdout="", stderr=""), "exit code -9: $"),
        (SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nValueError: odd\n"), "code 1: ValueError: odd"),
    ],
)
def test_a_process_that_dies_is_an_error_with_its_exit_code(monkeypatch, tmp_path, done, said):
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_named: done)
    with pytest.raises(StageError, match=said):
        probe_all({"a.onnx": tmp_path / "a.onnx"})


def test_a_process_that_hangs_is_an_error(monkeypatch, tmp_path):
    def hangs(words, *, timeout, **_named):
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(StageError, match="did not answer in a process of its own within 300 s"):
        probe_all({"a.onnx": tmp_path / "a.onnx"})


def test_the_probe_loads_neither_tensorflow_nor_onnx(small_tflite):
    lines = (
        "import sys, mbexport.latency.probe_process as probe",
        f"probe.main([{str(small_tflite)!r}, '1'])",
        "print(*sys.modules)",
    )
    done = subprocess.run([sys.executable, "-c", "; ".join(lines)], capture_output=True, text=True, check=True)
    *_, row, modules = done.stdout.strip().splitlines()
    assert json.loads(row)["load_ms"] > 0
    assert {"tensorflow", "onnx", "onnxruntime", "scipy"}.isdisjoint(modules.split())
