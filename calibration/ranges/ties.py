"""Ranges that integer kernels ask for: one for several tensors, a fixed one, or one that is a little wider.

- CONCATENATION and AVERAGE_POOL_2D do not rescale: what they read and what they make has one range, the one that holds
  all of theirs. Else the converter would put requantizations between. (Padding, reshapes and MAX_POOL_2D do not
  rescale, either, and store nothing of their own.)
- LOGISTIC has the range of probabilities (TFLite quantization specification).
- HARD_SWISH computes in 16 bits, and gives another code than floats for about one of the 256. Which ones depends on
  the scales: with a range that is up to 2 % wider there are none, so that onnxruntime, which computes with floats,
  gives the same codes (decision 0040).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import tf_keras

from mbexport.calibration.affine import Range, activation_affine
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.steps import Step
from mbexport.calibration.tables import agrees
from mbexport.errors import StageError
from mbexport.models.activations import HardSwish
from mbexport.models.folding import is_sigmoid

# The one legal int8 map of probabilities: scale 1/256 and zero point -128 (TFLite quantization specification,
# "SOFTMAX" and "LOGISTIC").
PROBABILITY_RANGE: Final = Range(low=0.0, high=255 / 256)
_TIED: Final = (tf_keras.layers.Concatenate, tf_keras.layers.AveragePooling2D)
_WIDER: Final = 1 + np.arange(81) / 4000  # up to 2 %


def is_tied(step: Step) -> bool:
    """Whether the step makes a tensor with the range of those that it reads."""
    return step.operator is not None and isinstance(step.operator.layer, _TIED)


def tied_sites(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    """The groups of sites that need one range, each in the order of the network.

    Raises `StageError` where a range that cannot be chosen would have to be that of others.
    """
    group_of = {step.site: {step.site} for step in steps}
    for step in steps:
        if not is_tied(step):
            continue
        for source in step.inputs:
            if source not in group_of:
                raise StageError(f"a convolution must read the image, got {step.site}")
            group_of[step.site] |= group_of[source]
        for site in group_of[step.site]:
            group_of[site] = group_of[step.site]
    fixed = {step.site for step in steps if _is_fixed(step)}
    groups = {id(group): group for group in group_of.values() if len(group) > 1}
    for group in groups.values():
        if group & fixed:
            raise StageError(f"a sigmoid must not be concatenated or pooled, got {min(group & fixed)}")
    return [tuple(step.site for step in steps if step.site in group) for group in groups.values()]


def settled(steps: Sequence[Step], observed: Ranges) -> dict[str, Range]:
    """The ranges that tensors with the ranges `observed` get, by site."""
    found = dict(observed)
    tied: Mapping[str, Range] = {}
    for group in tied_sites(steps):
        whole = Range(low=min(found[site].low for site in group), high=max(found[site].high for site in group))
        tied = {**tied, **dict.fromkeys(group, whole)}
    found |= tied
    for step in steps:
        if _is_fixed(step):
            found[step.site] = PROBABILITY_RANGE
        elif step.operator is not None and isinstance(step.operator.layer, HardSwish) and step.site not in tied:
            found[step.site] = _agreeing(step.operator.layer, found.get(step.inputs[0]), found[step.site])
    return found


def _is_fixed(step: Step) -> bool:
    return step.operator is not None and is_sigmoid(step.operator.layer)


def _agreeing(layer: HardSwish, taken: Range | None, own: Range) -> Range:
    """The least wider range than its `own` with which all kernels give the same codes for what has the range `taken`.

    Its own where there is none, and where the layer reads the image.
    """
    for factor in _WIDER.tolist() if taken else ():
        wider = Range(low=own.low * factor, high=own.high * factor)
        if taken and agrees(layer, activation_affine(taken), activation_affine(wider)):
            return wider
    return own
