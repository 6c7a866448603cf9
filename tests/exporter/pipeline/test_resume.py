"""A training that is killed goes on from its last epoch, and ends with the bytes of one that was not."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.run
EPOCHS = 4
# The float network alone: distillation keeps its checkpoints as the training does (models/training/test_resume.py).
OPTIONS = ("--alpha", "0.1", "--resolution", "32", "--epochs", str(EPOCHS), "--format", "tflite")


def artifact_hashes(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*.tflite")}


def logged_epochs(log_dir: Path) -> list[list[int]]:
    """The epochs in each file of curves, the files in the order of their names, which begin with the time."""
    found = []
    for file in sorted((log_dir / "train").iterdir()):
        events = EventAccumulator(str(file))
        events.Reload()
        tags = events.Tags()["tensors"]
        found.append([event.step for event in events.Tensors("epoch_loss")] if "epoch_loss" in tags else [])
    return found


def kill_after_epochs(out: Path, log_dir: Path, *, epochs: int) -> None:
    """Starts the build and kills it, without a chance to clean up, once `epochs` epochs have been taken down."""
    arguments = [sys.executable, "-m", "mbexport", "build", *OPTIONS, "--out", str(out), "--log-dir", str(log_dir)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        seen: set[int] = set()
        while len(seen) < epochs:
            assert process.poll() is None, "the build ended before it was killed"
            seen |= {file.stat().st_mtime_ns for file in (out / ".mbexport" / "checkpoints").glob("train-*")}
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(cli, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = cli("build", *OPTIONS, "--out", out)
    assert done.returncode in (0, 1), done.stderr
    return out


def test_killed_in_the_middle_of_training_it_goes_on_and_ends_with_the_same_bytes(cli, undisturbed, tmp_path):
    out, log_dir = tmp_path / "out", tmp_path / "logs"
    kill_after_epochs(out, log_dir, epochs=2)
    done = cli("build", *OPTIONS, "--out", out, "--log-dir", log_dir)
    assert done.returncode in (0, 1), done.stderr
    assert artifact_hashes(out) == artifact_hashes(undisturbed)
    first, second = logged_epochs(log_dir)
    assert len(first) >= 2
    assert second, "the second run had nothing left to do"
    # The kill may hit between an epoch's curves and its checkpoint: that epoch is then done twice, none is left out.
    assert second == list(range(second[0], EPOCHS + 1))
    assert 3 <= second[0] <= len(first) + 1
    histories = [json.loads((folder / "report.json").read_bytes())["training"] for folder in (out, undisturbed)]
    assert histories[0] == histories[1]
    assert len(histories[0]) == EPOCHS
    assert not list((out / ".mbexport" / "checkpoints").iterdir())
