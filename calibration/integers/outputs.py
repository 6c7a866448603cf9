"""Choose the ranges of a network's outputs by what is read out of them: probabilities, or scores and boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.detector_measure import CODES, DetectorMeasure
from mbexport.calibration.integers.arrangement import Arrangement
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import scaled_weights
from mbexport.calibration.integers.tensors import Pair, StoredTensor
from mbexport.calibration.ranges.heads import codes_range, scores_range
from mbexport.calibration.ranges.logits import logits_range
from mbexport.calibration.ranges.ties import is_tied
from mbexport.calibration.steps import Step
from mbexport.models.folding import gives_softmax

Array = NDArray[np.float32]
# Of a step, what it reads and what it makes of the images, before it is rounded: the range with which it is nearest.
OutputRange = Callable[[Step, StoredTensor, Sequence[Pair]], Range]


def output_ranges(
    folded: tf_keras.Model, steps: Sequence[Step], arrangement: Arrangement, *, detector: DetectorMeasure | None
) -> Mapping[str, OutputRange]:
    """By site, how the range of an output is chosen; the others keep the range that was observed.

    Those are outputs of convolutions without a ReLU: the logits of a softmax, and the heads of a `detector`.
    """
    free = [step for step in steps if step.is_output and step.ceiling is None and not is_tied(step)]
    if detector is None:
        return {step.site: _softmax_range for step in free} if gives_softmax(folded) else {}
    by_site = {step.site: step for step in steps}
    found: dict[str, OutputRange] = {}
    for boxes, classes in detector.heads.names:
        own = _Head(detector=detector, classes=by_site[classes], scalings=arrangement.scalings)
        found |= {boxes: own.range_of_codes, classes: own.range_of_scores}
    return {step.site: found[step.site] for step in free if step.site in found}


def _softmax_range(_step: Step, _given: StoredTensor, made: Sequence[Pair]) -> Range:
    """The range with which the softmax of the quantized logits is nearest to float's."""
    floats, quantized = (
        np.concatenate([np.asarray(pair[i]).reshape(len(pair[i]), -1) for pair in made]) for i in (0, 1)
    )
    return logits_range(floats, quantized)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The outputs of one map of a `detector`, by the step that makes the logits of its `classes`.

    That of the codes reads the same tensor; `scalings` are how tensors are stored.
    """

    detector: DetectorMeasure
    classes: Step
    scalings: Mapping[str, Scaling]

    def range_of_scores(self, _step: Step, _given: StoredTensor, made: Sequence[Pair]) -> Range:
        """The range with which scores are nearest to float's."""
        teacher, logits = (np.concatenate([np.ravel(pair[i]) for pair in made]) for i in (0, 1))
        return scores_range(self.detector, teacher, logits)

    def range_of_codes(self, step: Step, given: StoredTensor, made: Sequence[Pair]) -> Range:
        """The range with which boxes are nearest to float's, those more so that float is more certain of."""
        teacher, codes = (np.concatenate([np.reshape(pair[i], (-1, CODES)) for pair in made]) for i in (0, 1))
        anchors = step.channels // CODES
        floats = [self._logits(tensor) for tensor, _ in given.pairs()]
        logits = np.concatenate([np.reshape(each, (-1, self.classes.channels // anchors)) for each in floats])
        shares = np.asarray(self.detector.shares_of_boxes(logits), np.float32)
        # Few boxes are certain, or none on the maps of the largest ones: each of the others counts a little.
        return codes_range(teacher, codes, np.maximum(shares, np.float32(self.detector.least_score)))

    def _logits(self, tensor: Any) -> Any:
        """What float makes of the tensor that both outputs read."""
        channels = self.scalings[self.classes.site]
        incoming = self.scalings.get(self.classes.inputs[0], Scaling.none(int(tensor.shape[-1])))
        kernel, bias = scaled_weights(self.classes, incoming=incoming, outgoing=channels)
        return self.classes.convolve(self.classes.prepare(tensor), kernel, bias)
