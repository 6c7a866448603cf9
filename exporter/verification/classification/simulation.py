"""Check that an int8 .tflite of a classifier answers as the network that simulates it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.examine.twins import Twin
from mbexport.calibration.qat.fake_quant import PREFIX
from mbexport.formats.classifier import Classifier
from mbexport.formats.registry import open_runner
from mbexport.models.preprocess import Pixels, Preprocess
from mbexport.verification.simulation import (
    BATCH,
    LEAST_AGREEMENT,
    LOCATED_ON,
    Simulation,
    integer_outputs,
    parting_layer,
)

_ONE_STEP: Final = 1.01  # of the logits, with room for float32


def check_simulation(
    tflite: Path, quantized: tf_keras.Model, twins: Sequence[Twin], pixels: Pixels, preprocess: Preprocess
) -> Simulation:
    """Feed images (n, h, w, channels) to the file, to the fake-quantized network and to the network in integers.

    The file may give logits instead of probabilities, as `quantized` then does. Raises `StageError` if the file answers
    as neither of the two on `LEAST_AGREEMENT` of the images.
    """
    classifier, last = Classifier(open_runner(tflite)), twins[-1]
    scores = classifier.scores(classifier.raw(classifier.runner.prepare(pixels, preprocess)))
    answers = scores.argmax(axis=1)
    logits, wanted = _fake_quantized(quantized, last.step.site, preprocess.dequantize(pixels))
    (made,) = integer_outputs(twins, pixels, preprocess).values()
    steps = made.reshape(len(pixels), -1)
    rows = np.arange(len(pixels))
    is_same = wanted.argmax(axis=1) == answers
    is_near = logits.max(axis=1) - logits[rows, answers] <= _ONE_STEP * last.units[0]
    simulation = Simulation(
        images=len(pixels),
        agreement=float(is_same.mean()),
        near_ties=float((~is_same & is_near).mean()),
        max_lsb=int(np.abs(np.rint(logits / last.units) - steps).max()),
        # Different logits may have the same code of probability.
        integers=float((scores[rows, steps.argmax(axis=1)] == scores.max(axis=1)).mean()),
    )
    alike = simulation.alike >= LEAST_AGREEMENT
    simulation.require_alike(parting=None if alike else parting_layer(tflite, twins, pixels[:LOCATED_ON], preprocess))
    return simulation


def _fake_quantized(
    quantized: tf_keras.Model, site: str, inputs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits and the scores of the fake-quantized network, which may be the same, (n, classes) each."""
    probe = tf_keras.Model(quantized.input, [quantized.get_layer(PREFIX + site).output, quantized.output])
    logits, scores = probe.predict(inputs, batch_size=BATCH, verbose=0)
    return logits.reshape(len(inputs), -1), scores
