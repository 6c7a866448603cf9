"""The bench behind a sweep: all files in one sitting, kept while they are the same; and the gates on speed."""

import json

import pytest

from mbexport.latency.intervals import Interval
from mbexport.models.resolution import Resolution
from mbexport.progress import Silent
from mbexport.sweep import timing
from mbexport.sweep.results import FileLatency, PointResult
from mbexport.sweep.speed import judged
from mbexport.sweep.timing import Timed, time_points
from mbexport.workdir import Workdir

MACHINE = {"noise": None}


def result(name: str, *files: tuple[str, str], report: bool = True) -> PointResult:
    """A point with .onnx files of these names and precisions."""
    entries = [{"file": file, "format": "onnx", "precision": precision} for file, precision in files]
    return PointResult(
        name=name,
        arch="mobilenet_v1",
        alpha=0.25,
        resolution=Resolution.square(32),
        conv="separable",
        mult_adds=20_000_000,
        parameters=200_000,
        exit_code=0,
        report={"artifacts": entries} if report else None,
    )


@pytest.fixture
def family(tmp_path, colour_network):
    """Two points of two files each, and one that has none."""
    points = [result(name, ("a_fp32.onnx", "fp32"), ("a_int8.onnx", "int8")) for name in ("0.25_32", "0.5_32")]
    for point in points:
        folder = tmp_path / point.folder
        folder.mkdir(parents=True)
        for entry in point.report["artifacts"]:
            colour_network(folder / entry["file"])
    return [*points, result("1.0_32", report=False)]


class Counting(Silent):
    """A display that counts how often something was timed."""

    def __init__(self):
        self.started = []

    def start(self, stage):
        self.started.append(stage)


def test_every_file_of_every_point_is_timed_once_and_kept(tmp_path, family, monkeypatch):
    progress = Counting()
    with Workdir.open(tmp_path) as workdir:
        first = time_points(workdir, family, 1, progress=progress)
        again = time_points(workdir, family, 1, progress=progress)
        assert (again, progress.started) == (first, ["bench"])
        paths = {f"points/{name}/a_{kind}.onnx" for name in ("0.25_32", "0.5_32") for kind in ("fp32", "int8")}
        assert set(first.latencies) == paths
        assert all(each.median.low <= each.median.value <= each.median.high for each in first.latencies.values())
        assert {name: len(ratios) for name, ratios in first.speedups.items()} == {"0.25_32": 1, "0.5_32": 1}
        # Another number of threads, other files, other code: all of it anew.
        time_points(workdir, family, 2, progress=progress)
        assert len(progress.started) == 2
        time_points(workdir, family[:1], 2, progress=progress)
        assert len(progress.started) == 3
        monkeypatch.setattr(timing, "code_fingerprint", lambda: "other")
        time_points(workdir, family[:1], 2, progress=progress)
        assert len(progress.started) == 4


@pytest.mark.parametrize("content", [b"", b"{}", b'{"identity": {}, "timed": {}, "seal": "00"}'])
def test_a_record_that_somebody_else_wrote_is_not_taken(tmp_path, family, content):
    progress = Counting()
    with Workdir.open(tmp_path) as workdir:
        time_points(workdir, family[:1], 1, progress=progress)
        (tmp_path / ".mbexport" / "bench.json").write_bytes(content)
        time_points(workdir, family[:1], 1, progress=progress)
    assert len(progress.started) == 2


def test_nothing_is_timed_where_there_is_nothing(tmp_path):
    with Workdir.open(tmp_path) as workdir:
        assert time_points(workdir, [result("1.0_32", report=False)], 1, progress=Silent()) is None


def timed(ratio: float, low: float, high: float, *, noise: str | None = None) -> Timed:
    speedup = {"a": "a_fp32.onnx", "b": "a_int8.onnx", "latency_ratio": ratio, "threads": 2}
    latency = FileLatency(median=Interval(value=1.0, low=0.9, high=1.1), p90_ms=1.2)
    return Timed(
        latencies={"points/0.25_32/a_int8.onnx": latency},
        speedups={"0.25_32": [{**speedup, "latency_ratio_ci95": [low, high]}]},
        machine={**MACHINE, "noise": noise},
        threads=2,
    )


POINT = result("0.25_32", ("a_fp32.onnx", "fp32"), ("a_int8.onnx", "int8"))


@pytest.mark.parametrize(
    ("found", "limits", "strict", "verdict", "passed"),
    [
        (timed(2.0, 1.9, 2.1), {}, False, "pass", True),  # 20 M mult-adds: int8 must not be slower
        (timed(0.7, 0.6, 0.8), {}, False, "fail", False),
        (timed(1.0, 0.9, 1.1), {}, False, "undecided", True),
        (timed(1.0, 0.9, 1.1), {}, True, "undecided", False),
        (timed(2.0, 1.9, 2.1), {"int8_speedup": 2.5, "agreement": 0.9}, False, "fail", False),
        (timed(0.7, 0.6, 0.8, noise="too noisy"), {}, False, "undecided", True),
    ],
)
def test_the_speed_of_a_point_is_judged_by_hand(found, limits, strict, verdict, passed):
    (gate,) = judged([POINT, result("1.0_32", report=False)], found, limits, strict=strict)
    assert (gate["point"], gate["name"], gate["verdict"], gate["passed"]) == (
        "0.25_32",
        "int8_speedup",
        verdict,
        passed,
    )
    assert json.dumps(gate)


def test_nothing_is_judged_where_nothing_was_timed():
    assert judged([POINT], None, {}, strict=True) == []
