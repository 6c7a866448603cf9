"""Turns a folded network and calibration images into the range of each of its activation tensors."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observers import SiteObserver
from mbexport.calibration.ranges.ranges import Ranges
from mbexport.errors import DataError, StageError

# The one legal int8 map of probabilities: scale 1/256 and zero point -128 (TFLite quantization specification,
# "SOFTMAX" and "LOGISTIC").
PROBABILITY_RANGE: Final = Range(low=0.0, high=255 / 256)


def activation_sites(model: tf_keras.Model) -> tuple[str, ...]:
    """The layers behind which an integer artifact stores a tensor: ReLUs, the pooled features, the logits."""
    layers = tf_keras.layers
    sites = []
    for layer, following in zip(model.layers, [*model.layers[1:], None], strict=True):
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            if not isinstance(following, layers.ReLU):
                sites.append(layer.name)
        elif isinstance(layer, layers.ReLU | layers.GlobalAveragePooling2D):
            sites.append(layer.name)
    return tuple(sites)


def observe(
    model: tf_keras.Model, batches: Iterable[NDArray[np.float32]], *, observer: Observer = Observer.MINMAX
) -> dict[str, Range]:
    """The range of each activation site by one observer; see `observe_each`."""
    return observe_each(model, batches, observers=(observer,))[observer]


def observe_each(
    model: tf_keras.Model, batches: Iterable[NDArray[np.float32]], *, observers: Collection[Observer]
) -> dict[Observer, dict[str, Range]]:
    """The range of each activation site by each of `observers`, none of which is `auto`.

    `batches` of network inputs, each (n, px, px, channels) float32, are gone through once. A ReLU's minimum is
    exactly 0, whatever was seen: it is pinned there, so that no code is wasted below it.
    Raises `StageError` if there was nothing to see, or a value is not finite.
    """
    sites = activation_sites(model)
    probe = tf_keras.Model(model.input, [model.get_layer(site).output for site in sites])
    seen_at = {site: SiteObserver(observers) for site in sites}
    seen = 0
    for batch in batches:
        outputs = probe.predict_on_batch(batch)
        for site, values in zip(sites, outputs if len(sites) > 1 else [outputs], strict=True):
            seen_at[site].observe(values)
        seen += len(batch)
    if not seen:
        raise StageError("calibration must see at least one image, got none")
    found: dict[Observer, dict[str, Range]] = {observer: {} for observer in observers}
    for site in sites:
        for observer, interval in seen_at[site].ranges().items():
            found[observer][site] = _pinned(model.get_layer(site), interval)
    return found


def require_fit(model: tf_keras.Model, ranges: Ranges, *, source: str) -> None:
    """Raises `DataError` unless `ranges`, which came from `source`, are those of this network's activation sites."""
    sites = activation_sites(model)
    for site in sites:
        if site not in ranges:
            raise DataError(f"{source} must hold the ranges of this network, got none for {site}")
    for site, interval in ranges.items():
        if site not in sites:
            raise DataError(
                f"{source} must hold the ranges of this network, got one for {site}, which it does not have"
            )
        layer = model.get_layer(site)
        if not isinstance(layer, tf_keras.layers.ReLU):
            continue
        most = float("inf") if layer.max_value is None else float(layer.max_value)
        if interval.low != 0 or interval.high > most:
            raise DataError(
                f"{source}: the range of {site} must lie between 0 and {most:g} and begin at 0, got "
                f"[{interval.low:g}, {interval.high:g}]"
            )


def _pinned(layer: Any, interval: Range) -> Range:
    if isinstance(layer, tf_keras.layers.ReLU):
        return Range(low=0.0, high=interval.high)
    return interval


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
