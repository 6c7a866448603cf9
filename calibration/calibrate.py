"""Calibrate a network: observe the ranges of its activations, then decide its integers against float."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mbexport.calibration.choices import Observer
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.integers.arrangement import arranged_sites
from mbexport.calibration.integers.channels import ChannelCounts
from mbexport.calibration.integers.corrections import Corrected, Corrections, correct
from mbexport.calibration.qat.fake_quant import input_range
from mbexport.calibration.ranges.observe import ObservedRanges, observe_ranges, require_fit
from mbexport.calibration.ranges.range_file import read_ranges
from mbexport.calibration.ranges.watch import watch
from mbexport.models.preprocess import Preprocess

OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The observed ranges, and the integers and ranges that were decided from them."""

    observed: ObservedRanges
    corrected: Corrected


def calibrate(
    folded: tf_keras.Model,
    inputs: Callable[[], Iterator[NDArray[np.float32]]],
    preprocess: Preprocess,
    *,
    observer: Observer,
    ranges: Path | None,
    corrections: Corrections,
    detector: DetectorMeasure | None = None,
    kept: Collection[str] = (),
    seed: int,
    on_step: OnStep,
) -> Calibrated:
    """Calibrate `folded`, a network without batch normalization.

    Each call of `inputs` gives the calibration images as the network takes them, in batches (n, px, px, channels)
    float32. A file of `ranges` takes the place of the `observer`. `detector` is what the network is, if it is one: it
    decides what is near to float. The convolutions `kept` stay in float. `seed` decides what is random; `on_step`
    reports progress. Raises `DataError` if the file of ranges cannot be read or does not fit the network.

    numpy's linear algebra works on one thread meanwhile: the last bits of OpenBLAS' Cholesky factors and inverses of
    512 rows and more depend on how many there are.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        channels = ChannelCounts(arranged_sites(folded))
        observed = _observed(folded, inputs(), channels, observer=observer, ranges=ranges, detector=detector)
        corrected = correct(
            folded,
            observed.ranges,
            inputs,
            entry=input_range(input_scale=preprocess.input_scale, input_zero_point=preprocess.input_zero_point),
            corrections=corrections,
            channels=channels,
            detector=detector,
            kept=kept,
            seed=seed,
            on_step=on_step,
        )
        return Calibrated(observed=observed, corrected=corrected)


def _observed(
    folded: tf_keras.Model,
    batches: Iterator[NDArray[np.float32]],
    channels: ChannelCounts,
    *,
    observer: Observer,
    ranges: Path | None,
    detector: DetectorMeasure | None,
) -> ObservedRanges:
    """The ranges before any correction, those of the file or observed; `channels` are counted in the same pass."""
    if ranges is None:
        return observe_ranges(folded, batches, observer=observer, views=channels.views(), detector=detector)
    watch(folded, batches, channels.views())
    stored = read_ranges(ranges)
    require_fit(folded, stored, source=str(ranges))
    return ObservedRanges(ranges=stored, observer=None)
