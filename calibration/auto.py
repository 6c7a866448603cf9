"""Turns calibration images into ranges by the observer that was asked for, or by the one whose answers err least."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.logits import divergence
from mbexport.calibration.range_file import Ranges
from mbexport.calibration.ranges import activation_sites, observe, observe_each

_TRIED_IMAGES: Final = 64
_BITS: Final = 8

Array = NDArray[np.float32]
Answers = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The range of each activation site, the observer that found them, and how far each candidate was from float.

    No observer found ranges that come from a file. Errors are the mean Kullback-Leibler divergence of a softmax
    network's probabilities, in nats; for other networks the mean squared error of the scores. Without a choice there
    are none.
    """

    ranges: dict[str, Range]
    observer: Observer | None
    errors: Mapping[Observer, float] = field(default_factory=dict)


def observed(model: tf_keras.Model, batches: Iterable[Array], *, observer: Observer) -> Observed:
    """The ranges of a folded network over `batches` of its inputs, which are gone through once.

    For `auto` all candidates see them; the one is chosen whose ranges, with weights in float, give the answers that
    are nearest to float's on the first 64 images.
    """
    if observer is not Observer.AUTO:
        return Observed(ranges=observe(model, batches, observer=observer), observer=observer)
    kept: list[Array] = []
    found = observe_each(model, _keeping(batches, kept), observers=CANDIDATES)
    errors = _errors(model, found, kept)
    best = min(errors, key=lambda candidate: errors[candidate])
    return Observed(ranges=found[best], observer=best, errors=errors)


def _keeping(batches: Iterable[Array], kept: list[Array]) -> Iterator[Array]:
    """The same batches, of which the first images are put into `kept`."""
    for batch in batches:
        left = _TRIED_IMAGES - sum(len(images) for images in kept)
        if left > 0:
            kept.append(batch[:left])
        yield batch


def _errors(
    model: tf_keras.Model, candidates: Mapping[Observer, Ranges], batches: list[Array]
) -> dict[Observer, float]:
    """How far the answers with each candidate's ranges are from the float network's."""
    is_softmax = isinstance(model.layers[-1], tf_keras.layers.Softmax)
    layers = model.layers[1:-1] if is_softmax else model.layers[1:]
    expected = _answers(_forward(layers, ()), batches, np.zeros((0, 2), np.float32))
    sites = activation_sites(model)
    quantized = _forward(layers, sites)
    errors = {}
    for name, ranges in candidates.items():
        ends = np.array([[ranges[site].low, ranges[site].high] for site in sites], np.float32)
        found = _answers(quantized, batches, ends)
        if is_softmax:
            errors[name] = divergence(expected, found)
        else:
            errors[name] = float(((found - expected) ** 2).mean(dtype=np.float64))
    return errors


def _forward(layers: list[Any], sites: tuple[str, ...]) -> Answers:
    """What `layers` make of inputs, the tensors at `sites` rounded to 256 codes over ranges (sites, 2); compiled."""

    def forward(x: Any, ends: Any) -> Any:
        for layer in layers:
            x = layer(x, training=False)
            if layer.name in sites:
                low, high = tf.unstack(ends[sites.index(layer.name)])
                x = tf.quantization.fake_quant_with_min_max_vars(x, low, high, _BITS)
        return x

    compiled: Answers = tf.function(forward, reduce_retracing=True)
    return compiled


def _answers(forward: Answers, batches: list[Array], ends: Array) -> Array:
    """(n, classes) of all images."""
    return np.concatenate([np.asarray(forward(batch, ends)).reshape(len(batch), -1) for batch in batches])
