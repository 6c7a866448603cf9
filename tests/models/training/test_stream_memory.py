"""Memory does not grow with the number of images: an epoch over ten times as many takes no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.run
SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "one_epoch.py"
RESOLUTION_PX = 224
# Measured: 1 to 9 MB, with and without a store. The 900 further images would be 129 MB as bytes.
LIMIT_MB = 30


def folder(root: Path, count: int) -> Path:
    """`count` names of one small photo."""
    root.mkdir()
    Image.linear_gradient("L").resize((32, 32)).convert("RGB").save(root / "00000.jpg")
    for index in range(1, count):
        (root / f"{index:05d}.jpg").hardlink_to(root / "00000.jpg")
    return root


def peak_mb(root: Path, mode: str) -> float:
    # By itself glibc keeps up to 70 MB of what was freed, by the processor and by chance: here it gives all of it back.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(root), str(RESOLUTION_PX), mode],
        env={**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read, count, peak, store = done.stdout.split()
    assert int(count) - 16 < int(read) <= int(count)  # whole batches
    assert store == ("with" if mode == "store" else "without")
    return float(peak)


@pytest.mark.parametrize("mode", ["no-store", "store"])
def test_ten_times_the_images_take_no_more_memory(tmp_path: Path, mode: str) -> None:
    few, many = (peak_mb(folder(tmp_path / str(count), count), mode) for count in (100, 1_000))
    assert many - few < LIMIT_MB
