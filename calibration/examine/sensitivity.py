"""Sensitivity: what the rounding of each layer costs the answers of a quantized network."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.examine.twins import Twin
from mbexport.calibration.ranges.logits import divergences
from mbexport.models.facts import Output
from mbexport.models.graph import entry_of, outputs_of

# Two cores make about 15e9 multiply-adds of such a network in a second (measured); each image takes half as many
# runs as there are layers.
_MULT_ADDS: Final = 160e9
_LEAST_IMAGES: Final = 16
_MOST_IMAGES: Final = 64

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Outputs = Mapping[str, Any]  # by name, in float's own units
InFloat = Callable[[Twin, Sequence[Any]], Any]  # what a layer that alone stays in float makes of its tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How far answers are from float's: `divergence` as `distances` measures it, `agreement` from 0 to 1.

    Of a classifier that is the share of images with the same top class. Of a detector the divergence is that of each
    box that float shows, and the agreement the share of the boxes that either network shows which both do.
    """

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


def unrounded(twin: Twin, tensors: Sequence[Any]) -> Any:
    """What a layer makes whose weights and output both stay float."""
    return twin.in_float(*tensors)


def rounded(twin: Twin, tensors: Sequence[Any]) -> Any:
    """What a layer makes that is kept in float in an int8 artifact: its output is stored in codes."""
    return twin.kept(*tensors)


def costliest(found: Sensitivity, layers: Collection[str], count: int) -> list[str]:
    """The `count` of `layers` without whose rounding the answers are nearest to float's, the nearest first."""
    return sorted(layers, key=lambda layer: found.without[layer].divergence)[:count]


def sensitivity(
    twins: Sequence[Twin],
    batches: Iterable[Array],
    *,
    output: Output,
    detector: DetectorMeasure | None = None,
    in_float: InFloat = unrounded,
) -> Sensitivity:
    """Measure what each layer costs, over batches (n, px, px, channels) of the input in steps of its codes.

    The network's scores are of the kind `output`; `detector` is what it is, if it is one. A layer that stays float has
    float's own weights, and the output that `in_float` gives it, and reads what the quantized layers before it make:
    these run once for all of the layers, the ones behind it once for each.
    """

    def compare(expected: Outputs, found: Outputs) -> _Compared:
        return _detections(expected, found, detector) if detector else _scores(expected, found, output)

    found: list[list[_Compared]] = []
    for batch in batches:
        floats, *others = _answers(twins, batch, in_float)
        found.append([compare(floats, each) for each in others])
    quantized, *alone = (_Compared.joined(parts) for parts in zip(*found, strict=True))
    return Sensitivity(
        samples=sum(len(first.asked) for first, *_ in found),
        quantized=quantized,
        without={twin.layer: each for twin, each in zip(twins, alone, strict=True)},
    )


def distances(expected: Array, found: Array, output: Output) -> Floats:
    """How far the logits `found` are from those `expected`, both (n, classes), by what the network gives.

    The Kullback-Leibler divergence in nats for a softmax, (n,); the squared error of other scores, (n, classes).
    """
    if output is Output.SOFTMAX:
        return divergences(expected, found)
    scores = [values.astype(np.float64) for values in (expected, found)]
    if output is Output.SIGMOID:
        scores = [1 / (1 + np.exp(-values)) for values in scores]
    return np.asarray(np.square(scores[0] - scores[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """A batch of answers beside float's: `distances` (n, ...), to be divided by the number of `answers` of all batches.

    Of so many that are `asked` of each image, so many are `alike`: (n,).
    """

    distances: Floats
    answers: int
    asked: Floats
    alike: Floats

    @staticmethod
    def joined(parts: "Sequence[_Compared]") -> Answers:
        """The answers of all batches. Where nothing is asked, nothing differs."""
        asked, alike = (sum(getattr(part, name).sum() for part in parts) for name in ("asked", "alike"))
        distances = np.concatenate([part.distances for part in parts])
        return Answers(
            divergence=float(distances.sum() / max(sum(part.answers for part in parts), 1)),
            agreement=float(alike / asked) if asked else 1.0,
        )


def _scores(expected: Outputs, found: Outputs, output: Output) -> _Compared:
    """The scores of a classifier: each image asks for its top class."""
    floats, logits = (
        np.concatenate([np.asarray(values).reshape(len(values), -1) for values in outputs.values()], axis=1)
        for outputs in (expected, found)
    )
    apart = distances(floats, logits, output)
    return _Compared(
        distances=apart,
        answers=apart.size,
        asked=np.ones(len(floats)),
        alike=(floats.argmax(axis=1) == logits.argmax(axis=1)).astype(np.float64),
    )


def _detections(expected: Outputs, found: Outputs, detector: DetectorMeasure) -> _Compared:
    """The answers of a detector: each image asks for the boxes that either network shows."""
    floats, others = (tf.cast(detector.joined(outputs), tf.float64) for outputs in (expected, found))
    asked, alike = detector.shown(floats, others)
    return _Compared(
        distances=np.asarray(detector.divergences(floats, others)),
        answers=int(np.sum(detector.boxes(floats))),
        asked=asked,
        alike=alike,
    )


def _answers(twins: Sequence[Twin], batch: Array, in_float: InFloat) -> Iterator[Outputs]:
    """The outputs of float, of the quantized network, and with each layer in turn left in float."""
    x = tf.constant(batch)
    yield _outputs(twins, outputs_of(twins, {entry_of(twins): x}, unrounded))
    yield _outputs(twins, outputs_of(twins, {entry_of(twins): x}, _in_integers))
    quantized = {entry_of(twins): x}
    ends: dict[str, Any] = {}
    for number, twin in enumerate(twins, start=1):
        inputs, behind = [quantized[name] for name in twin.inputs], twins[number:]
        read = {name for each in behind for name in each.inputs}
        quantized = {name: tensor for name, tensor in quantized.items() if name in read}
        lone = {twin.name: in_float(twin, inputs)}
        yield _outputs(twins, ends | lone | outputs_of(behind, quantized | lone, _in_integers))
        quantized[twin.name] = twin.in_integers(*inputs)
        if twin.is_output:
            ends[twin.name] = quantized[twin.name]


def _in_integers(twin: Twin, tensors: Sequence[Any]) -> Any:
    return twin.in_integers(*tensors)


def _outputs(twins: Sequence[Twin], tensors: Mapping[str, Any]) -> Outputs:
    """The network's outputs, from `tensors` in steps of their codes."""
    return {twin.name: tensors[twin.name] * twin.units for twin in twins if twin.is_output}
