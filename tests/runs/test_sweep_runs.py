"""Whole sweeps: points that are those of plain builds, also where a worker is killed, and never made twice."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from delivered import repeating

pytestmark = pytest.mark.run

OPTIONS = ("--resolution", "32", "--epochs", "4", "--no-sensitivity", "--strict")
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def start(*words: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mbexport", *words],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sweep(folder: Path, alphas: str, *words: str) -> "subprocess.Popen[str]":
    return start("sweep", "--alpha", alphas, *OPTIONS, "--jobs", "2", "--out", "sweep", *words, cwd=folder)


def workers(driver: "subprocess.Popen[str]", point: str) -> Iterator[psutil.Process]:
    """The build of a point, below the driver of its sweep."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(word.endswith(f"points/{point}") for word in process.cmdline()):
                    yield process


def kill_in_training(driver: "subprocess.Popen[str]", folder: Path, point: str) -> None:
    """Kill the build of a point once it has a checkpoint."""
    checkpoints = folder / "sweep" / "points" / point / ".mbexport" / "checkpoints"
    while driver.poll() is None and not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        time.sleep(0.02)
    for process in workers(driver, point):
        process.send_signal(signal.SIGKILL)


def stages(folder: Path, point: str) -> dict[str, bool]:
    """Whether each stage of a point's last build was reused."""
    report = json.loads((folder / "sweep" / "points" / point / "report.json").read_bytes())
    return {stage["name"]: stage["reused"] for stage in report["stages"]}


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[Path, dict]:
    """A sweep of two points, of which one was killed in the middle of its training, and what sweep.json said of it."""
    folder = tmp_path_factory.mktemp("swept")
    driver = sweep(folder, "0.1,0.2")
    kill_in_training(driver, folder, "0.1_32")
    _, errors = driver.communicate()
    assert driver.returncode in (0, 1), errors
    return folder, document(folder)


@pytest.fixture
def swept(killed) -> Path:
    """The folder of the sweep, in which tests make others: each must hold in any order."""
    return killed[0]


def written(folder: Path) -> dict[Path, int]:
    """When each file of the points, and each that shows the sweep, was written."""
    files = [*(folder / "sweep" / "points").rglob("*"), *(folder / "sweep").glob("sweep.*")]
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


def document(folder: Path) -> dict:
    return json.loads((folder / "sweep" / "sweep.json").read_bytes())


def test_a_killed_worker_goes_on_from_its_checkpoint(killed):
    swept, first = killed
    points = {point["name"]: point for point in first["points"]}
    assert {name: point["attempts"] for name, point in points.items()} == {"0.1_32": 2, "0.2_32": 1}
    assert {point["status"] for point in points.values()} <= {"passed", "gate_failed"}
    assert all(entry["latency_ms"] for point in points.values() for entry in point["artifacts"])
    log = (swept / "sweep" / "logs" / "0.1_32.log").read_text()
    assert log.count("tflite-fp32") == 1  # no stage behind the training was begun before the kill


@pytest.mark.parametrize("alpha", ["0.1", "0.2"])
def test_each_point_is_what_a_plain_build_makes_byte_for_byte(swept, alpha, tmp_path):
    built = start(
        "build", "--alpha", alpha, *OPTIONS, "--no-latency", "--out", "plain", "--cache", "none", cwd=tmp_path
    )
    _, errors = built.communicate()
    point = swept / "sweep" / "points" / f"{alpha}_32"
    report = json.loads((point / "report.json").read_bytes())
    assert built.returncode == (0 if report["passed"] else 1), errors
    assert repeating(tmp_path / "plain") == repeating(point)
    listed = {path.name for path in (tmp_path / "plain").iterdir()}
    assert {path.name for path in point.iterdir()} == listed


def test_a_second_sweep_makes_nothing_again(swept):
    sweep(swept, "0.1,0.2").communicate()  # another test may have left a sweep of other points
    before = written(swept)
    earlier = document(swept)
    again = sweep(swept, "0.1,0.2")
    shown, errors = again.communicate()
    assert again.returncode in (0, 1)
    assert [line.split()[1] for line in errors.splitlines() if "_32" in line] == ["reused", "reused"]
    assert written(swept) == before
    assert document(swept) == earlier  # the bench, too, is that of before
    assert "sweep.html" in shown


def test_a_longer_grid_makes_the_new_point_only(swept):
    before = stages(swept, "0.1_32")
    longer = sweep(swept, "0.1,0.15,0.2", "--no-latency")
    _, errors = longer.communicate()
    assert longer.returncode in (0, 1), errors
    reused = [line.split()[0] for line in errors.splitlines() if line.split()[1:2] == ["reused"]]
    assert reused == ["0.1_32", "0.2_32"]
    assert len(document(swept)["points"]) == 3
    assert stages(swept, "0.1_32") == before
    assert stages(swept, "0.15_32")["train"] is False


def test_a_point_that_somebody_changed_is_delivered_again(swept):
    file = swept / "sweep" / "points" / "0.2_32" / "mobilenet_v1_0.2_32_fp32.tflite"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    again = sweep(swept, "0.2", "--no-latency", "--force")
    _, errors = again.communicate()
    assert again.returncode in (0, 1), errors
    assert file.read_bytes() == content


def test_an_interrupt_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    driver = sweep(tmp_path, "0.1,0.2")
    status = tmp_path / "sweep" / ".mbexport" / "status" / "0.2_32.json"
    while driver.poll() is None and not (status.exists() and '"train"' in status.read_text()):
        time.sleep(0.05)
    below = psutil.Process(driver.pid).children(recursive=True)
    assert below
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate()
    assert (driver.returncode, "finished stages are kept" in errors) == (130, True)
    assert not [process for process in below if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not (tmp_path / "sweep" / "sweep.json").exists()
