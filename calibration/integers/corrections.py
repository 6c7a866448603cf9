"""Decide the integers of a folded network, so that it answers as the float network does, without training.

Step by step: each layer is given what the quantized layers before it really produce, and has its weights rounded and
its bias set so that its output is nearest to the float network's. See docs/decisions/0012.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import INT8_MAX, Range, round_bias
from mbexport.calibration.choices import Correction
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.integers.arrangement import Arrangement, Batches, arrange
from mbexport.calibration.integers.channels import ChannelCounts
from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.integers.layer import ScaledLayer
from mbexport.calibration.integers.outputs import output_ranges
from mbexport.calibration.integers.propagation import Decided, Propagation, Run
from mbexport.calibration.integers.stored_site import StoredSite
from mbexport.calibration.integers.tensors import Pair, StoredTensor
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.steps import Step, as_layer

INPUT: Final = "input"  # the site of the network's input

Array = NDArray[np.float32]
Factors = NDArray[np.float64]
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

    `weights` are kernel and bias of each convolution, the kernel in multiples of its scales unless the layer stays in
    float; `largest` (channels,) is what code 127 stands for in each of its channels; `ranges` are those of the
    activations. `sites` say how well each activation, and the input, is stored on the calibration images; `arrangement`
    how its channels are stored.
    """

    weights: dict[str, list[Array]]
    largest: dict[str, Factors]
    ranges: dict[str, Range]
    arrangement: Arrangement
    sites: dict[str, StoredSite] = field(default_factory=dict)


def correct(
    folded: tf_keras.Model,
    ranges: Ranges,
    batches: Batches,
    *,
    entry: Range,
    corrections: Corrections,
    channels: ChannelCounts | None = None,
    detector: DetectorMeasure | None = None,
    kept: Collection[str] = (),
    seed: int = 0,
    on_step: OnStep = lambda *_: None,
) -> Corrected:
    """Decide the integers of `folded`, whose activations have the observed `ranges`, from calibration images.

    `batches()` gives the images as float32 (n, px, px, channels), the same each time; `entry` is the range of that
    input; `channels` are the values of the channels that may be arranged, where they have been seen already; `detector`
    is what the network is, if it is one; the convolutions `kept` stay in float, and only get another bias; `seed`
    decides what is random. Takes memory that does not grow with the number
    of images (`propagation`).
    """
    arrangement = arrange(
        folded, ranges, batches, entry=entry, has_copies=corrections.copies, is_equalized=corrections.equalization,
        channels=channels, detector=detector, seed=seed,
    )  # fmt: skip
    steps, found = arrangement.steps(folded), Corrected(weights={}, largest={}, ranges={}, arrangement=arrangement)
    tensors = Propagation(folded, steps, batches(), interval=entry)
    chosen = output_ranges(folded, steps, arrangement, detector=detector) if corrections.logits else {}
    for number, step in enumerate(steps, start=1):
        inputs = tensors.inputs_of(step)
        run, made, interval = _decided(step, inputs, ranges[step.site], corrections=corrections, kept=kept, found=found)
        if step.site in chosen:
            interval = chosen[step.site](step, inputs[0], made := list(made))
        found.ranges[step.site] = interval
        tensors.add(Decided(name=step.name, inputs=step.inputs, run=run, interval=interval), made)
        on_step(number, len(steps), "layers")
    first, *others = tensors.sites().items()
    found.sites.update({INPUT: first[1], **dict(others)})
    return found


def _decided(
    step: Step,
    inputs: Sequence[StoredTensor],
    observed: Range,
    *,
    corrections: Corrections,
    kept: Collection[str],
    found: Corrected,
) -> tuple[Run, Iterable[Pair], Range]:
    """What makes the output of a step, what it makes of the images so far, and its range, before them `observed`.

    Its integers, if it has any, are put into `found`.
    """
    if step.convolution is None:
        return _without_weights(step, inputs, observed)
    (given,), scalings = inputs, found.arrangement.scalings
    layer = ScaledLayer.of(
        step,
        incoming=scalings.get(step.inputs[0], Scaling.none(given.channels)),
        outgoing=scalings[step.site],
        input_scale=given.affine.scale[0],
        high=observed.high,
    )
    name = step.convolution.name
    if is_float := name in kept:
        rounded = layer.unrounded()
    else:
        rounded = layer.rounded(given) if corrections.rounding else layer.nearest()
    made = [layer.outputs(*pair, rounded.kernel, layer.bias) for pair in given.pairs()]
    bias = layer.corrected_bias(made) if corrections.bias else layer.bias
    if not is_float:
        bias = round_bias(bias, weight_scales=rounded.scales, input_scale=given.affine.scale[0])
    kernel = as_layer(step.convolution, rounded.kernel)
    found.weights[name], found.largest[name] = [kernel, bias], rounded.scales * INT8_MAX

    def run(pairs: Sequence[Pair]) -> Pair:
        return layer.rectified(*layer.outputs(*pairs[0], rounded.kernel, bias))

    return run, _with_bias(layer, made, bias - layer.bias), observed


def _with_bias(layer: ScaledLayer, made: list[Pair], more: Array) -> Iterator[Pair]:
    """The outputs `made` with the bias that was decided, `more` than the one before; they are let go one by one."""
    while made:
        expected, found = made.pop(0)
        yield layer.rectified(expected, found + more)


def _without_weights(step: Step, inputs: Sequence[StoredTensor], observed: Range) -> tuple[Run, Iterable[Pair], Range]:
    """The same of a step without a convolution.

    Pooling over one pixel does nothing, and the converter leaves it out: then the input's range stays, too.
    """

    def run(pairs: Sequence[Pair]) -> Pair:
        floats, quantized = zip(*pairs, strict=True)
        return step.compute(*floats), step.compute(*quantized)

    made = [run(pairs) for pairs in zip(*(each.pairs() for each in inputs), strict=True)]
    given, *others = inputs
    is_pooling = step.operator is not None and isinstance(step.operator.layer, tf_keras.layers.GlobalAveragePooling2D)
    is_nothing = is_pooling and not others and sum(int(tf.size(y)) for _, y in made) == given.size
    return run, made, given.interval if is_nothing else observed
