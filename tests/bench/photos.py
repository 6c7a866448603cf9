"""A folder of generated JPEG files that are as hard to decode as photos."""

from pathlib import Path

import numpy as np
from PIL import Image

DIFFERENT = 40  # files beyond these are further names of the same ones: a decoder cannot tell


def write_photos(folder: Path, count: int, *, width: int, height: int) -> Path:
    """`count` files of `width` x `height` px in `folder`: soft shapes with some grain, at quality 90."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"{index:06d}.jpg"
        if index >= DIFFERENT:
            path.hardlink_to(folder / f"{index % DIFFERENT:06d}.jpg")
            continue
        blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 8, (height, width, 1))
        pixels = np.clip(np.asarray(blobs) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path, quality=90)
    return folder
