"""Calibrate a network: observe the ranges of its activations, then correct its integers against float."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.choices import Observer
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import input_range
from mbexport.calibration.ranges.observe import Observed, observed, require_fit
from mbexport.calibration.ranges.ranges import read_ranges
from mbexport.models.preprocess import Preprocess

OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The ranges as they were observed, and the integers and ranges that were decided from them."""

    seen: Observed
    found: Corrected


def calibrate(
    folded: tf_keras.Model,
    inputs: Callable[[], Iterator[NDArray[np.float32]]],
    preprocess: Preprocess,
    *,
    observer: Observer,
    ranges: Path | None,
    corrections: Corrections,
    seed: int,
    on_step: OnStep,
) -> Calibrated:
    """Decide the ranges and integers of a network without batch normalization.

    `inputs` gives the calibration images anew at each call, as batches (n, px, px, channels) float32 in steps of the
    input's codes. A file of `ranges` takes the place of the `observer`. Raises `DataError` if that file does not fit
    the network.
    """
    seen = _observed(folded, inputs(), observer=observer, ranges=ranges)
    found = correct(
        folded,
        seen.ranges,
        inputs,
        entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
        corrections=corrections,
        seed=seed,
        on_step=on_step,
    )
    return Calibrated(seen=seen, found=found)


def _observed(
    folded: tf_keras.Model, batches: Iterator[NDArray[np.float32]], *, observer: Observer, ranges: Path | None
) -> Observed:
    """The ranges before any correction: those of the file, or observed."""
    if ranges is None:
        return observed(folded, batches, observer=observer)
    stored = read_ranges(ranges)
    require_fit(folded, stored, source=str(ranges))
    return Observed(ranges=stored, observer=None)
