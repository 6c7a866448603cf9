"""Sensitivity: what the rounding of each layer costs the answers of a quantized network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.examine.twins import Twin
from mbexport.calibration.ranges.logits import divergence
from mbexport.models.facts import Output
from mbexport.models.graph import entry_of, outputs_of

# Two cores make about 15e9 multiply-adds of such a network in a second (measured); each image takes half as many
# runs as there are layers.
_MULT_ADDS: Final = 160e9
_LEAST_IMAGES: Final = 16
_MOST_IMAGES: Final = 64

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How far answers are from float's: `divergence` as `distance` measures it, `agreement` from 0 to 1."""

    divergence: float
    agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The answers of the quantized network on so many `samples`, and those with one layer alone left in float."""

    samples: int
    quantized: Answers
    without: dict[str, Answers]

    def share(self, layer: str) -> float:
        """The share of the divergence that goes away when `layer` stays float.

        Below 0 if its errors made up for those of others, NaN for a network without any divergence.
        """
        whole = self.quantized.divergence
        return (whole - self.without[layer].divergence) / whole if whole > 0 else float("nan")


def image_count(mult_adds: int, *, layers: int) -> int:
    """How many images to measure a network of `mult_adds` and `layers` on: 16 to 64, fewer the more it costs."""
    each = mult_adds * (2 + layers / 2)
    return int(min(max(_MULT_ADDS // each, _LEAST_IMAGES), _MOST_IMAGES))


def sensitivity(twins: Sequence[Twin], batches: Iterable[Array], *, output: Output) -> Sensitivity:
    """Measure what each layer costs, over batches (n, px, px, channels) of the input in steps of its codes.

    The network's scores are of the kind `output`. A layer that stays float has float's own weights and output, and
    reads what the quantized layers before it make: these run once for all of the layers, the ones behind it once for
    each.
    """
    found = [_scores(twins, batch) for batch in batches]
    floats, quantized, *alone = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Sensitivity(
        samples=len(floats),
        quantized=_answers(floats, quantized, output),
        without={twin.layer: _answers(floats, logits, output) for twin, logits in zip(twins, alone, strict=True)},
    )


def distance(expected: Array, found: Array, output: Output) -> float:
    """How far the logits `found` are from those `expected`, both (n, classes), by what the network gives.

    The mean Kullback-Leibler divergence in nats for a softmax; the mean squared error of other scores.
    """
    if output is Output.SOFTMAX:
        return divergence(expected, found)
    scores = [values.astype(np.float64) for values in (expected, found)]
    if output is Output.SIGMOID:
        scores = [1 / (1 + np.exp(-values)) for values in scores]
    return float(np.square(scores[0] - scores[1]).mean())


def _answers(floats: Array, logits: Array, output: Output) -> Answers:
    return Answers(
        divergence=distance(floats, logits, output),
        agreement=float((floats.argmax(axis=1) == logits.argmax(axis=1)).mean()),
    )


def _scores(twins: Sequence[Twin], batch: Array) -> list[Array]:
    """The logits of float, of the quantized network, and with each layer in turn left in float: (n, classes) each."""
    x = tf.constant(batch)
    floats = outputs_of(twins, {entry_of(twins): x}, lambda twin, tensors: twin.in_float(*tensors))
    quantized, alone = {entry_of(twins): x}, []
    ends: dict[str, Any] = {}
    for number, twin in enumerate(twins, start=1):
        inputs, behind = [quantized[name] for name in twin.inputs], twins[number:]
        read = {name for each in behind for name in each.inputs}
        quantized = {name: tensor for name, tensor in quantized.items() if name in read}
        lone = {twin.name: twin.in_float(*inputs)}
        alone.append(_logits(twins, ends | lone | outputs_of(behind, quantized | lone, _in_integers)))
        quantized[twin.name] = twin.in_integers(*inputs)
        if twin.is_output:
            ends[twin.name] = quantized[twin.name]
    return [_logits(twins, floats), _logits(twins, ends), *alone]


def _in_integers(twin: Twin, tensors: Sequence[Any]) -> Any:
    return twin.in_integers(*tensors)


def _logits(twins: Sequence[Twin], tensors: Mapping[str, Any]) -> Array:
    """The network's outputs side by side, (n, classes), from `tensors` in steps of their codes."""
    outputs = [(tensors[twin.name], twin.units) for twin in twins if twin.is_output]
    return np.concatenate([np.asarray(steps * units).reshape(len(steps), -1) for steps, units in outputs], axis=1)
