"""Whole runs of `mbexport bench` on files made by hand: results, options, and files that are refused."""

import json
from pathlib import Path

import pytest
from tflite_by_hand import tflite_of

from mbexport.cli import run
from mbexport.fingerprint import usable_cores
from mbexport.formats.registry import open_runner
from mbexport.formats.tflite.batch import with_open_batch
from mbexport.latency.sittings import fixed_effort
from mbexport.pipeline.bench_files import bench_files, feeds_of
from mbexport.progress import Silent

QUICK = ("--runs", "4", "--warmup", "0", "--json")


@pytest.fixture
def files(tmp_path, colour_network):
    """A .tflite for any number of images, and an .onnx for one."""
    (tmp_path / "open.tflite").write_bytes(with_open_batch(tflite_of("uint8")))
    return [str(tmp_path / "open.tflite"), str(colour_network(tmp_path / "one.onnx"))]


@pytest.fixture
def benched(capfd):
    """What the command line prints."""

    def start(*words):
        code = run(["bench", *words])
        shown = capfd.readouterr()
        assert code == 0, shown.err
        return json.loads(shown.out), shown.err

    return start


def test_a_whole_run_has_every_key_of_the_contract(benched, files, tmp_path):
    result, errors = benched(*files, *QUICK, "--threads", "2", "--batch", "3", "--out", str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "bench.json").read_bytes()) == result
    one, other = result["artifacts"]
    assert [(entry["file"], entry["runtime"]) for entry in (one, other)] == [
        ("open.tflite", "litert"),
        ("one.onnx", "onnxruntime"),
    ]
    for entry in (one, other):
        assert [each["threads"] for each in entry["threads"]] == [1, 2]
        assert entry["latency_ms"]["p50"] == entry["threads"][0]["p50"]
        assert entry["cold_start_ms"]["processes"] == 3
        assert entry["peak_memory_bytes"] >= 0
        assert [(each["batch"], each["threads"]) for each in entry["throughput"]] == [(1, 2), (3, 2)]
    assert one["throughput"][1]["images_per_s"] > 0
    assert other["throughput"][1]["images_per_s"] is None
    assert other["throughput"][1]["reason"] == "the file takes 1 image(s) at a time"
    ratios = [(ratio["a"], ratio["b"], ratio["threads"]) for ratio in result["ratios"]]
    assert ratios == [("one.onnx", "open.tflite", 1), ("one.onnx", "open.tflite", 2)]
    noise = result["machine"]["noise"]
    assert errors == (f"WARNING: {noise}\n" if noise else "")


def test_one_thread_alone_is_timed_once(benched, files):
    result, _ = benched(files[0], *QUICK, "--threads", "1", "--no-probe", "--batch", "1")
    (entry,) = result["artifacts"]
    assert [each["threads"] for each in entry["threads"]] == [1]
    assert (entry["cold_start_ms"], entry["peak_memory_bytes"]) == (None, None)
    assert [each["batch"] for each in entry["throughput"]] == [1]
    assert result["ratios"] == []


def test_all_cores_are_timed_by_default(files):
    found = bench_files(
        [Path(files[0])],
        threads=None,
        effort=fixed_effort(2, warmup=0),
        batch=1,
        is_probed=False,
        progress=Silent(),
    )
    counts = [each["threads"] for each in found["artifacts"][0]["threads"]]
    assert counts == sorted({1, usable_cores()})


def test_noise_is_a_warning_and_not_a_failure(benched, files, monkeypatch):
    monkeypatch.setattr("mbexport.latency.machine.busy_share", lambda: 0.9)
    result, errors = benched(files[0], *QUICK, "--threads", "1", "--no-probe")
    assert "other programs kept 90% of the cores busy" in result["machine"]["noise"]
    assert errors == f"WARNING: {result['machine']['noise']}\n"


def test_files_of_one_name_are_told_apart_by_their_folders(files, tmp_path):
    twin = tmp_path / "twin" / "open.tflite"
    twin.parent.mkdir()
    twin.write_bytes(Path(files[0]).read_bytes())
    result = bench_files(
        [Path(files[0]), twin], threads=1, effort=fixed_effort(2, warmup=0), batch=1, progress=Silent()
    )
    names = [f"{Path(files[0]).parent.name}/open.tflite", "twin/open.tflite"]
    assert [entry["file"] for entry in result["artifacts"]] == names
    assert [(ratio["a"], ratio["b"]) for ratio in result["ratios"]] == [(names[1], names[0])]
    assert all(entry["cold_start_ms"]["total"] > 0 for entry in result["artifacts"])


def test_feeds_are_random_bytes_of_the_files_own_shape(files):
    runners = [open_runner(Path(each)) for each in files]
    feeds = feeds_of(runners)
    assert {name: feed.shape for name, feed in feeds.items()} == {
        "open.tflite": (1, 2, 2, 3),
        "one.onnx": (1, 32, 32, 3),
    }
    assert feeds["one.onnx"].std() > 0.3


def test_a_file_with_several_outputs_is_timed_and_looked_into(colour_network, tmp_path, capfd):
    path = colour_network(tmp_path / "two.onnx", outputs=2)
    named = {"threads": 1, "effort": fixed_effort(2, warmup=0), "is_probed": False, "progress": Silent()}
    (entry,) = bench_files([path], batch=1, **named)["artifacts"]
    assert entry["latency_ms"]["runs"] == 2
    assert entry["throughput"][0]["images_per_s"] > 0
    assert run(["inspect", str(path), "--json"]) == 0
    outputs = json.loads(capfd.readouterr().out)["outputs"]
    assert [(each["name"], each["shape"]) for each in outputs] == [("scores0", [1, 10]), ("scores1", [1, 10])]
