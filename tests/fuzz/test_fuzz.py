"""Three hundred changed files: each is used, or refused in one line."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzz.fuzz import fuzz
from fuzz.mutations import json_changed, toml_changed
from small_build import ROOT


@pytest.mark.run
def test_no_changed_file_ends_in_a_traceback_a_crash_or_a_hang(small_build: Path) -> None:
    counts = fuzz(range(300), seed=1)
    assert not counts.bad, counts.bad
    assert counts.is_sound, counts.table()


def test_a_seed_repeats_its_changes() -> None:
    content = b'{"a": [1, 2.5, "x"], "b": null}'
    for change in (json_changed, toml_changed):
        one, again = (change(content, random.Random(7)) for _ in range(2))
        assert one == again


def test_memory_of_whoever_starts_a_worker_is_not_taken_for_its_own() -> None:
    held = np.ones(1 << 27)  # 1 GiB, all of it touched
    command = [sys.executable, "-c", "from fuzz.worker import _peak_bytes; print(_peak_bytes())"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")}, capture_output=True, check=True, text=True
    )
    assert 0 < int(done.stdout) < held.nbytes
