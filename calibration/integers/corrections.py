"""Decide the integers of a folded network, so that it answers as the float network does, without training.

Step by step: each layer is given what the quantized layers before it really produce, and has its weights rounded and
its bias set so that its output is nearest to the float network's. See docs/decisions/0012.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, Range, round_bias
from mbexport.calibration.choices import Correction
from mbexport.calibration.integers.arrangement import Arrangement, Batches, arrange
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import ScaledLayer
from mbexport.calibration.integers.tensors import StoredSite, StoredTensor
from mbexport.calibration.ranges.logits import logits_range
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.ranges.ties import is_tied
from mbexport.calibration.steps import Step, as_layer
from mbexport.models.folding import gives_softmax
from mbexport.models.graph import entry_of, walk

INPUT: Final = "input"  # the site of the network's input

Array = NDArray[np.float32]
Factors = NDArray[np.float64]
Pair = tuple[Array, Array]
OnStep = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """The corrections to make; without any, weights are rounded to the nearest code."""

    copies: bool = True
    equalization: bool = True
    rounding: bool = True
    bias: bool = True
    logits: bool = True

    @classmethod
    def of(cls, names: Iterable[Correction]) -> "Corrections":
        """The corrections in `names`, and no others."""
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
class _Input:
    """A tensor that steps read, its range, and how its channels are stored."""

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
    """Decide the integers of `folded`, whose activations have the observed `ranges`, from calibration images.

    `batches()` gives the images as float32 (n, px, px, channels), the same each time; `entry` is the range of that
    input; `seed` decides what is random. Takes memory for the tensors of all images that one step reads and makes, and
    those that a later one still has to read, three bytes a value: two, in a chain.
    """
    arrangement = arrange(
        folded, ranges, batches, entry=entry, has_copies=corrections.copies, is_equalized=corrections.equalization,
        seed=seed,
    )  # fmt: skip
    steps, found = arrangement.steps(folded), Corrected(weights={}, largest={}, ranges={}, arrangement=arrangement)
    has_logits = corrections.logits and gives_softmax(folded)

    def compute(step: Step, inputs: Sequence[_Input]) -> _Input:
        made, interval = _decided(step, inputs, ranges[step.site], corrections=corrections, found=found)
        if has_logits and step.is_output and step.ceiling is None and not is_tied(step):
            interval = _logits(made := list(made))
        tensor = _stored(interval, made)
        found.ranges[step.site], found.sites[step.site] = interval, tensor.site()
        return _Input(tensor=tensor, interval=interval, scaling=arrangement.scalings[step.site])

    # No name is given to the input: the walk lets it go once it has been read.
    tensors = walk(steps, {entry_of(steps): _input(folded, batches(), entry, found)}, compute)
    for number, _ in enumerate(tensors, start=1):
        on_step(number, len(steps), "layers")
    return found


def _stored(interval: Range, pairs: Iterable[Pair]) -> StoredTensor:
    """A tensor of that range that holds the (float, quantized) batches."""
    tensor = StoredTensor.of(interval)
    for floats, quantized in pairs:
        tensor.add(floats, quantized)
    return tensor


def _input(folded: tf_keras.Model, batches: Iterable[Array], entry: Range, found: Corrected) -> _Input:
    """The network's input, whose figures are put into `found`."""
    tensor = _stored(entry, ((batch, batch) for batch in batches))
    found.sites[INPUT] = tensor.site()
    return _Input(tensor=tensor, interval=entry, scaling=Scaling.none(folded.input_shape[-1]))


def _decided(
    step: Step, inputs: Sequence[_Input], observed: Range, *, corrections: Corrections, found: Corrected
) -> tuple[Iterable[Pair], Range]:
    """The output of a step, float and quantized batches, and its range, which was `observed` before corrections.

    Its integers, if it has any, are put into `found`.
    """
    if step.convolution is None:
        return _without_weights(step, inputs, observed)
    (given,) = inputs
    layer = ScaledLayer.of(
        step,
        incoming=given.scaling,
        outgoing=found.arrangement.scalings[step.site],
        input_scale=given.tensor.affine.scale[0],
        high=observed.high,
    )
    return _corrected(layer, given.tensor, corrections, found), observed


def _without_weights(step: Step, inputs: Sequence[_Input], observed: Range) -> tuple[Iterable[Pair], Range]:
    """The output of a step without a convolution, float and quantized batches, and its range.

    Pooling over one pixel does nothing, and the converter leaves it out: then the input's range stays, too.
    """
    batches = zip(*(each.tensor.pairs() for each in inputs), strict=True)
    pairs = (zip(*batch, strict=True) for batch in batches)
    made = [(np.asarray(step.compute(*floats)), np.asarray(step.compute(*stored))) for floats, stored in pairs]
    given, *others = inputs
    is_pooling = step.operator is not None and isinstance(step.operator.layer, tf_keras.layers.GlobalAveragePooling2D)
    is_nothing = is_pooling and not others and sum(y.size for _, y in made) == given.tensor.size
    return made, given.interval if is_nothing else observed


def _corrected(layer: ScaledLayer, given: StoredTensor, corrections: Corrections, found: Corrected) -> Iterable[Pair]:
    """Put the layer's integers into `found`; returns its outputs for the input `given`, float and quantized."""
    rounded = layer.rounded(given) if corrections.rounding else layer.nearest()
    kernel, scales = rounded.kernel, rounded.scales
    bias = layer.corrected_bias(given, kernel) if corrections.bias else layer.bias
    bias = round_bias(bias, weight_scales=scales, input_scale=given.affine.scale[0])
    name = layer.step.convolution.name
    found.weights[name], found.largest[name] = [as_layer(layer.step.convolution, kernel), bias], scales * INT8_MAX
    return layer.outputs(given, kernel, bias)


def _logits(made: Iterable[Pair]) -> Range:
    """The range with which the softmax of the quantized logits is nearest to float's."""
    floats, quantized = (np.concatenate([pair[i].reshape(len(pair[i]), -1) for pair in made]) for i in (0, 1))
    return logits_range(floats, quantized)
