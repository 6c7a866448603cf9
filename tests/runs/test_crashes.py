"""Kills, signals, full disks and damaged caches: the next run makes the same bytes and leaves nothing else behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "crash_runs.py"


def crashes(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.run
def test_a_few_crashes_of_each_kind():
    done = crashes("--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 failed\n") == 7


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_hundreds_of_crashes():
    done = crashes()
    assert done.returncode == 0, done.stdout + done.stderr
