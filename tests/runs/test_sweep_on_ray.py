"""A whole sweep on a Ray cluster of two nodes, one of which is killed in the middle of a training."""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from delivered import repeating
from small_cluster import CannotStartError, SmallCluster

pytestmark = pytest.mark.run

OPTIONS = ("--resolution", "32", "--epochs", "4", "--precision", "fp32", "--no-sensitivity")
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "RAY_AUTH_MODE": "token"}
ALPHAS = ("0.1", "0.2")
KILLED = "second"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[SmallCluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'mbexport[sweep]'")
    with contextlib.ExitStack() as stack:
        try:
            made = SmallCluster(tmp_path_factory.mktemp("cluster"))
            stack.callback(made.stop)
            made.add(KILLED)
        except CannotStartError as error:
            pytest.skip(f"Ray cannot start here: {error}")
        yield made


def start(*words: str, cwd: Path, home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "mbexport", *words],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def point_on(node: int, folder: Path) -> str | None:
    """The point that is built on the node with that process, once it has a checkpoint."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(node).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                for word in process.cmdline():
                    name = word.rpartition("/points/")[2] if word.startswith("--out=") else ""
                    checkpoints = folder / "sweep" / "points" / name / ".mbexport" / "checkpoints"
                    if name and checkpoints.is_dir() and any(checkpoints.iterdir()):
                        return name
    return None


def test_a_sweep_outlives_a_node_and_makes_the_bytes_of_plain_builds(cluster, tmp_path):
    words = ("sweep", "--alpha", ",".join(ALPHAS), *OPTIONS, "--out", "sweep", "--no-latency")
    driver = start(*words, "--address", cluster.address, cwd=tmp_path, home=cluster.home)
    lost = None
    while driver.poll() is None and lost is None:
        lost = point_on(cluster.nodes[KILLED].pid, tmp_path)
        time.sleep(0.05)
    cluster.kill(KILLED)
    _, errors = driver.communicate()
    assert driver.returncode in (0, 1), errors
    document = json.loads((tmp_path / "sweep" / "sweep.json").read_bytes())
    points = {point["name"]: point for point in document["points"]}
    assert lost is not None
    assert {name: point["attempts"] for name, point in points.items()} == {
        f"{alpha}_32": 2 if f"{alpha}_32" == lost else 1 for alpha in ALPHAS
    }
    assert {point["node"] for point in points.values()} <= set(document["nodes"])
    plain = start("build", "--alpha", lost.split("_")[0], *OPTIONS, "--no-latency", "--out", "plain", "--cache", "none",
                  cwd=tmp_path, home=cluster.home)  # fmt: skip
    _, errors = plain.communicate()
    assert plain.returncode in (0, 1), errors
    assert repeating(tmp_path / "plain") == repeating(tmp_path / "sweep" / "points" / lost)


def test_parts_of_a_verification_are_answered_there(cluster, small_build, tmp_path):
    files = sorted(map(str, small_build.glob("*.tflite")))
    words = ("verify", *files, "--data", "digits", "--no-latency", "--json")
    runs = {
        "whole": start(*words, cwd=tmp_path, home=cluster.home),
        "parts": start(
            *words, "--shards", "2", "--address", cluster.address, "--out", "out", cwd=tmp_path, home=cluster.home
        ),
    }
    said = {name: run.communicate() for name, run in runs.items()}
    assert {run.returncode for run in runs.values()} <= {0, 1}, said
    assert said["parts"][0] == said["whole"][0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_file()) == [
        "junit.xml",
        "report.html",
        "report.json",
    ]
