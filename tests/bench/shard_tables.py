"""Rates of a folder, tar shards and TFRecord files side by side, and what it takes to list many images of each."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from photos import write_photos
from rounds import interleaved, print_rates
from shard_files import write_folder, write_records, write_tars

from mbexport.models.data.open import ImageSet, iter_pixels, open_data
from mbexport.models.preprocess import Preprocess

CLASSES, BATCH = 1000, 50
FOLDER = "folder"


def reading_table(scratch: Path, *, count: int, width: int, height: int, preprocess: Preprocess, rounds: int) -> None:
    """Images a second, decoded in a new order each round by the threads that training reads with; files are cached."""
    photos = sorted(write_photos(scratch / "photos", count, width=width, height=height).iterdir())
    contents = [photo.read_bytes() for photo in photos[:40]]  # all that differ
    kinds = {
        FOLDER: write_folder(scratch / "folder", photos, count, 10),
        "tar": write_tars(scratch / "tar", lambda i: contents[i % len(contents)], count, 10),
        "TFRecord": write_records(scratch / "records", lambda i: contents[i % len(contents)], count, 10),
    }
    runs: dict[str, Callable[[int], None]] = {
        name: partial(_epoch, open_data(data).evaluation(0), preprocess) for name, data in kinds.items()
    }
    size_kb = sum(map(len, contents)) / len(contents) / 1000
    print(
        f"{count} photos of {width} x {height} px ({size_kb:.0f} kB) to {preprocess.resolution} px in random order, "
        f"{rounds} interleaved rounds"
    )
    print_rates(*interleaved(runs, rounds), images=count, beside=FOLDER)


def _epoch(images: ImageSet, preprocess: Preprocess, number: int) -> None:
    order = np.random.default_rng([0, number]).permutation(len(images))
    for _ in iter_pixels(images.subset(order), preprocess, batch=BATCH):
        pass


def listing_table(scratch: Path, *, few: int, many: int) -> None:
    """Seconds and memory of listing, each in a process of its own; a folder of many has too many files to make."""
    photos = sorted(write_photos(scratch / "tiny", 40, width=8, height=8).iterdir())
    content = photos[0].read_bytes()
    print(f"listing tiny images ({len(content)} bytes) of {CLASSES} classes, and splitting them")
    _listed("folder", write_folder(scratch / "tiny_folder", photos, few, CLASSES))
    for count in (few, many):
        for name, write in (("tar", write_tars), ("TFRecord", write_records)):
            folder = scratch / f"{name}{count}"
            _listed(name, write(folder, lambda _: content, count, CLASSES))
            shutil.rmtree(folder)  # a million takes 2.6 GB


def _listed(name: str, data: str) -> None:
    script = Path(__file__).with_name("list_images.py")
    done = subprocess.run([sys.executable, str(script), data], capture_output=True, text=True, check=True)
    count, seconds, before, listed, split = map(float, done.stdout.split())
    each = [(peak - before) * 2**20 / count for peak in (listed, split)]
    print(
        f"  {name:<10} {count:9.0f} images {seconds:6.1f} s  + {listed - before:4.0f} MB listed "
        f"({each[0]:.0f} bytes each), + {split - before:4.0f} MB split ({each[1]:.0f} bytes each)"
    )
