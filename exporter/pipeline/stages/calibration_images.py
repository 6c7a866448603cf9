"""Some of the images that a network is calibrated on, for what is measured on its quantized layers."""

from typing import TYPE_CHECKING, Any, Final

from mbexport.pipeline.context import Context

if TYPE_CHECKING:
    from mbexport.models.preprocess import Pixels

_BATCH: Final = 16


def some_pixels(run: Context, *, at_most: int) -> "Pixels":
    """So many of the calibration images, fewer if there are fewer: uint8 (n, h, w, channels)."""
    import numpy as np

    from mbexport.calibration.samples import balanced_samples
    from mbexport.models.data.imageset import iter_pixels

    images, count = run.images.calibration, min(at_most, run.plan.calibration_samples)
    chosen = images.subset(balanced_samples(images.labels, count, seed=run.plan.seed))
    return np.concatenate(list(iter_pixels(chosen, run.float.facts.preprocess)))


def input_batches(run: Context, pixels: "Pixels") -> list[Any]:
    """The images in steps of the input's codes, float32, in batches."""
    steps = run.float.facts.preprocess.steps(pixels)
    return [steps[start : start + _BATCH] for start in range(0, len(steps), _BATCH)]
