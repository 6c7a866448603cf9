"""Check that an int8 .tflite of a detector answers as the network that simulates it, before any box is left out.

What is compared are the heads: two boxes of equal scores, of which one is shown, would make much of a rounding.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.examine.twins import Twin
from mbexport.calibration.qat.fake_quant import PREFIX
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verification.simulation import (
    BATCH,
    LEAST_AGREEMENT,
    LOCATED_ON,
    Simulation,
    integer_outputs,
    parting_layer,
)

Heads = Mapping[str, NDArray[np.float32]]  # by name, (n, h, w, channels)


def check_heads(
    tflite: Path,
    heads: Heads,
    quantized: tf_keras.Model,
    twins: Sequence[Twin],
    *,
    detector: DetectorMeasure,
    pixels: Pixels,
    preprocess: Preprocess,
) -> Simulation:
    """Compare the file's `heads` for n images with those of the fake-quantized network and of the one in integers.

    The file may have its tail or not; its heads are what the network gives before that, in floats.

    Answers are the boxes that either of two shows. Raises `StageError` if the file answers as neither of the two on
    `LEAST_AGREEMENT` of them.
    """
    outputs = quantized.predict(preprocess.dequantize(pixels), batch_size=BATCH, verbose=0)
    simulated = dict(zip((name.removeprefix(PREFIX) for name in quantized.output_names), outputs, strict=True))
    steps, units = integer_outputs(twins, pixels, preprocess), {twin.name: twin.units for twin in twins}
    simulation = Simulation(
        images=len(pixels),
        agreement=_share(detector, simulated, heads),
        near_ties=0.0,
        max_lsb=max(int(np.abs(np.rint(simulated[name] / units[name]) - own).max()) for name, own in steps.items()),
        integers=_share(detector, {name: own * units[name] for name, own in steps.items()}, heads),
    )
    alike = simulation.alike >= LEAST_AGREEMENT
    parting = None if alike else parting_layer(tflite, twins, pixels[:LOCATED_ON], preprocess)
    simulation.require_alike(parting=parting, answers="the boxes of ")
    return simulation


def _share(detector: DetectorMeasure, one: Heads, other: Heads) -> float:
    """The share of the boxes that either shows which both do."""
    either, both = (each.sum() for each in detector.shown(detector.joined(one), detector.joined(other)))
    return float(both / either) if either else 1.0
