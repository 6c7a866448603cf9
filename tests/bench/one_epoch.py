"""Read one epoch of training batches from a folder of images, and print the peak memory in MB.

Run as a script, so that nothing else is in the process: FOLDER RESOLUTION no-reading|no-store|store
"""

import sys
import tempfile
from pathlib import Path

import tensorflow as tf
from memory import peak_mb

from mbexport.models.data.open import open_unlabelled
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution
from mbexport.models.training.augment import PHOTO_AUGMENTATION
from mbexport.models.training.pixel_store import open_store
from mbexport.models.training.stream import training_batches

BATCH = 16  # small: the peak of a few steps is then that of many, whatever the allocator keeps of them


def main(folder: Path, resolution_px: int, mode: str) -> None:
    """One epoch as a training takes it, or, with no-reading, all that comes before its first image."""
    tf.config.experimental.enable_op_determinism()
    images = open_unlabelled(folder).images
    preprocess = Preprocess(resolution=Resolution.square(resolution_px))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        store = open_store(Path(scratch), count=len(images), shape=preprocess.shape) if mode == "store" else None
        batches = training_batches(
            images, preprocess, batch=BATCH, seed=0, epochs=range(1), augmentation=PHOTO_AUGMENTATION, store=store
        )
        read = 0 if mode == "no-reading" else sum(len(labels) for _, labels in batches)
    print(f"{read} {len(images)} {peak_mb():.1f} {'with' if store else 'without'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
