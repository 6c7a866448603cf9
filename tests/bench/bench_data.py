"""Benchmark how images reach a training: images a second, and memory, from folders and from shards.

Run by `make bench-data`. Rates are compared within interleaved rounds, as `mbexport bench` does for artifacts. With
`--shards` the tables of shards alone are made; listing a million images takes 3 GB in the folder of temporary files.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from photos import write_photos
from PIL import Image
from rounds import interleaved, print_rates
from shard_tables import listing_table, reading_table

from mbexport.models.data.open import ImageSet, open_unlabelled
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import PHOTO_AUGMENTATION
from mbexport.models.training.pixel_store import PixelStore
from mbexport.models.training.stream import training_batches

PHOTOS, ROUNDS, BATCH = 500, 9, 50
PREPARED = Preprocess(resolution=Resolution.square(224))
MEMORY_PX = 128
PLAIN = "plain Pillow loop"


def main(*, only_shards: bool) -> None:
    """Prints all tables, or those of shards alone."""
    tf.config.experimental.enable_op_determinism()
    with tempfile.TemporaryDirectory() as scratch:
        if not only_shards:
            speed_table(write_photos(Path(scratch) / "photos", PHOTOS, width=640, height=480))
            memory_table(Path(scratch))
        shard_tables(Path(scratch))


def shard_tables(scratch: Path) -> None:
    """Rates of photos and of small images, and what listing takes."""
    small = Preprocess(resolution=Resolution.square(96))
    for count, width, height, preprocess in ((PHOTOS, 640, 480, PREPARED), (4000, 96, 96, small)):
        place = scratch / f"read_{width}"
        place.mkdir()
        reading_table(place, count=count, width=width, height=height, preprocess=preprocess, rounds=ROUNDS)
    listing_table(scratch, few=100_000, many=1_000_000)


def speed_table(folder: Path) -> None:
    """Images per second of an epoch of each kind, and the ratio of its speed to the plain loop's."""
    images = open_unlabelled(folder).images
    store = PixelStore(folder, count=len(images), shape=PREPARED.shape)
    runs: dict[str, Callable[[int], None]] = {
        PLAIN: lambda _: plain_loop(folder, images),
        "stream": lambda number: stream(images, None, number),
        "stream, store warm": lambda number: stream(images, store, number),
        "stream, not augmented": lambda number: stream(images, None, number, augmented=False),
    }
    print(f"{PHOTOS} photos of 640 x 480 px to {PREPARED.resolution} px, {ROUNDS} interleaved rounds")
    print_rates(*interleaved(runs, ROUNDS), images=PHOTOS, beside=PLAIN)


def plain_loop(folder: Path, images: ImageSet) -> None:
    """What one writes without a library: one file after the other, and no augmentation."""
    px = PREPARED.resolution.height_px
    for name in images.names:
        with Image.open(folder / name.rpartition("/")[2]) as file:
            image = file.convert("RGB")
        side = round(min(image.size) * PREPARED.crop_fraction)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        np.asarray(image.crop((left, top, left + side, top + side)).resize((px, px), Image.Resampling.BILINEAR))


def stream(images: ImageSet, store: PixelStore | None, number: int, *, augmented: bool = True) -> None:
    """One epoch as a training takes it, its set-up included."""
    how = PHOTO_AUGMENTATION if augmented else None
    for _ in training_batches(
        images, PREPARED, batch=BATCH, seed=0, epochs=range(number, number + 1), augmentation=how, store=store
    ):
        pass


def memory_table(scratch: Path) -> None:
    """The peak of a process that reads one epoch, and by how much it passes one that does all but reading."""
    print(f"peak memory of one epoch at {MEMORY_PX} px, in a process of its own")
    for count in (1_000, 20_000):
        folder = write_photos(scratch / str(count), count, width=96, height=96)
        base = peak_mb(folder, "no-reading")
        held = count * MEMORY_PX**2 * 3 / 2**20
        print(f"  {count:6} images: all but reading {base:.0f} MB; their pixels would be {held:.0f} MB")
        for mode in ("no-store", "store"):
            peak = peak_mb(folder, mode)
            print(f"    {mode:<9} {peak:6.0f} MB   + {peak - base:.0f} MB")


def peak_mb(folder: Path, mode: str) -> float:
    """The peak of the process that `one_epoch.py` is."""
    script = Path(__file__).with_name("one_epoch.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder), str(MEMORY_PX), mode], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[2])


if __name__ == "__main__":
    main(only_shards="--shards" in sys.argv[1:])
