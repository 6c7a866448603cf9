"""Try each convention of normalization on a network whose own words leave open what it is fed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.samples import balanced_samples
from mbexport.models.channels import CHANNELS
from mbexport.models.data.imageset import ImageSet, iter_pixels
from mbexport.models.preprocess import NORMALIZATIONS, Pixels, Preprocess

_TRIED_IMAGES: Final = 200

Rescaling = tuple[tuple[float, ...], tuple[float, ...]]
Scores = Callable[[Preprocess, Pixels], NDArray[np.float32]]


def tried_conventions(
    scores: Scores, images: ImageSet, preprocess: Preprocess, *, rescaling: Rescaling, assumed: str, seed: int
) -> dict[str, Any]:
    """How often the network is right with each convention, on a few of the labelled `images`, in the report's words.

    `scores` gives those of images that are fed with the normalization of a `Preprocess`; `rescaling` is what the
    network itself does behind each convention, and `assumed` is the name of the one that it was fed with.
    """
    chosen = images.subset(balanced_samples(images.labels, _TRIED_IMAGES, seed=seed))
    pixels = np.concatenate(list(iter_pixels(chosen, preprocess)))
    top1 = {}
    for name, normalization in NORMALIZATIONS.items():
        if normalization.is_bgr and CHANNELS[preprocess.channels].bgr_colour is None:
            continue
        found = scores(replace(preprocess, normalization=normalization.then(*rescaling)), pixels)
        top1[name] = float((found.argmax(axis=1) == chosen.labels).mean())
    return {"samples": len(chosen), "assumed": assumed, "top1": top1}
