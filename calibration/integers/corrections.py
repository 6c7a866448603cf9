"""Turns a folded network and its ranges into integers that answer as the float network does, without training.

Layer by layer, in the network's order: each is given what the quantized layers before it really produce, and has its
weights rounded and its bias set so that its output is nearest to the float network's. See docs/decisions/0012.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, Range, whole_bias
from mbexport.calibration.choices import Correction
from mbexport.calibration.integers.arrangement import Arrangement, Batches, arranged
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import ScaledLayer
from mbexport.calibration.integers.tensors import StoredSite, StoredTensor
from mbexport.calibration.ranges.logits import logits_range
from mbexport.calibration.ranges.ranges import Ranges
from mbexport.calibration.steps import Step

INPUT: Final = "input"  # what the network is given has a site of its own

Array = NDArray[np.float32]
Factors = NDArray[np.float64]
Pair = tuple[Array, Array]
OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Which corrections are made; without any, weights are rounded to the nearest code."""

    copies: bool = True
    equalization: bool = True
    rounding: bool = True
    bias: bool = True
    logits: bool = True

    @classmethod
    def of(cls, names: Iterable[Correction]) -> "Corrections":
        """Those that are named, and no others."""
        chosen = set(names)
        return cls(**{each.value: each in chosen for each in Correction})


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A network as its integer artifacts hold it.

    `weights` are kernel and bias of each convolution, the kernel in multiples of its scales; `largest` (channels,)
    is what code 127 stands for in each of its channels; `ranges` are those of the activations. `sites` say how well
    each activation, and the input, is stored on the calibration images; `arrangement` how its channels are stored.
    """

    weights: dict[str, list[Array]]
    largest: dict[str, Factors]
    ranges: dict[str, Range]
    arrangement: Arrangement
    sites: dict[str, StoredSite] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What the next step is given: a tensor, its range, and how its channels are stored."""

    tensor: StoredTensor
    interval: Range
    scaling: Scaling


def correct(
    folded: tf_keras.Model,
    ranges: Ranges,
    batches: Batches,
    *,
    entry: Range,
    corrections: Corrections,
    seed: int = 0,
    on_step: OnStep = lambda *_: None,
) -> Corrected:
    """The integers of `folded`, whose activations have the `ranges` that were observed, from calibration images.

    `batches()` gives the images as float32 (n, px, px, channels), the same each time; `entry` is the range of that
    input; `seed` decides what is random. Takes memory for the two largest tensors of all images, three bytes a value.
    """
    arrangement = arranged(
        folded,
        ranges,
        batches,
        entry=entry,
        has_copies=corrections.copies,
        is_equalized=corrections.equalization,
        seed=seed,
    )
    steps, found = arrangement.steps(folded), Corrected(weights={}, largest={}, ranges={}, arrangement=arrangement)
    is_softmax = isinstance(folded.layers[-1], tf_keras.layers.Softmax) and steps[-1].ceiling is None
    given = _Given(tensor=StoredTensor.of(entry), interval=entry, scaling=Scaling.none(folded.input_shape[-1]))
    for batch in batches():
        given.tensor.add(batch, batch)
    found.sites[INPUT] = given.tensor.site()
    for number, step in enumerate(steps, start=1):
        made, interval = _decided(step, given, ranges[step.site], corrections=corrections, found=found)
        if corrections.logits and is_softmax and step is steps[-1]:
            made = list(made)
            interval = _logits(made)
        scaling = arrangement.scalings[step.site]
        given = _Given(tensor=StoredTensor.of(interval), interval=interval, scaling=scaling)
        for floats, quantized in made:
            given.tensor.add(floats, quantized)
        found.ranges[step.site], found.sites[step.site] = interval, given.tensor.site()
        on_step(number, len(steps), "layers")
    return found


def _decided(
    step: Step, given: _Given, interval: Range, *, corrections: Corrections, found: Corrected
) -> tuple[Iterable[Pair], Range]:
    """What a step makes of what it is `given`, and its range, which was observed as `interval`.

    Its integers, if it has any, are put into `found`.
    """
    if step.convolution is None:
        return _passed_on(step, given.tensor, given.interval, interval)
    layer = ScaledLayer.of(
        step,
        incoming=given.scaling,
        outgoing=found.arrangement.scalings[step.site],
        input_scale=given.tensor.affine.scale[0],
        high=interval.high,
    )
    return _corrected(layer, given.tensor, corrections, found), interval


def _passed_on(step: Step, given: StoredTensor, before: Range, own: Range) -> tuple[Iterable[Pair], Range]:
    """What a step without a convolution makes of what it is given in the range `before`, and its `own` range.

    Pooling over one pixel does nothing, and the converter leaves it out: then the range stays, too.
    """
    made = [(np.asarray(step.prepare(x)), np.asarray(step.prepare(y))) for x, y in given.pairs()]
    return made, before if sum(y.size for _, y in made) == given.size else own


def _corrected(layer: ScaledLayer, given: StoredTensor, corrections: Corrections, found: Corrected) -> Iterable[Pair]:
    """Puts the layer's integers into `found`, and gives what it makes of what it is `given`."""
    rounded = layer.rounded(given) if corrections.rounding else layer.nearest()
    kernel, scales = rounded.kernel, rounded.scales
    bias = layer.corrected_bias(given, kernel) if corrections.bias else layer.bias
    bias = whole_bias(bias, weight_scales=scales, input_scale=given.affine.scale[0])
    name = layer.step.convolution.name
    found.weights[name], found.largest[name] = [kernel, bias], scales * INT8_MAX
    return layer.outputs(given, kernel, bias)


def _logits(made: Iterable[Pair]) -> Range:
    floats, quantized = (np.concatenate([pair[i].reshape(len(pair[i]), -1) for pair in made]) for i in (0, 1))
    return logits_range(floats, quantized)
