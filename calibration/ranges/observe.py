"""Observe the ranges of a folded network's activations on calibration images."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import CANDIDATES, Observer
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.ranges.logits import divergence
from mbexport.calibration.ranges.observers import CUTTING, SiteObserver
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.ranges.ties import settled, tied_sites
from mbexport.calibration.ranges.watch import View, ends, watch, whole
from mbexport.calibration.steps import activation_sites, steps_of
from mbexport.errors import DataError, StageError
from mbexport.models.folding import gives_softmax
from mbexport.models.graph import LayerNode, entry_of, layers_of, outputs_of

_TRIED_IMAGES: Final = 64  # on which `auto` compares observers
_BITS: Final = 8

Array = NDArray[np.float32]
Outputs = dict[str, Any]  # of a batch, by the name of the layer that gives each
Forward = Callable[[Any, Any], Outputs]


def observe(
    model: tf_keras.Model, batches: Iterable[NDArray[np.float32]], *, observer: Observer = Observer.MINMAX
) -> dict[str, Range]:
    """The range of each activation site by one observer; see `observe_each`."""
    return observe_each(model, batches, observers=(observer,))[observer]


def observe_each(
    model: tf_keras.Model,
    batches: Iterable[NDArray[np.float32]],
    *,
    observers: Collection[Observer],
    views: Sequence[View] = (),
) -> dict[Observer, dict[str, Range]]:
    """The range of each activation site by each of `observers`, none of which is `auto`; other `views` see as much.

    `batches` of network inputs, each (n, px, px, channels) float32, are gone through once. A ReLU's minimum is
    exactly 0, whatever was seen: it is pinned there, so that no code is wasted below it.
    Raises `StageError` if there was nothing to see, or a value is not finite.
    """
    sites = activation_sites(model)
    seen_at = {site: SiteObserver(observers) for site in sites}
    reduce = whole if CUTTING.intersection(observers) else ends
    own = [View(site=site, reduce=reduce, see=observer.observe) for site, observer in seen_at.items()]
    # The moving average alone minds how large batches are.
    if not watch(model, batches, [*own, *views], keeps_batches=Observer.MOVING_AVERAGE in observers):
        raise StageError("calibration must see at least one image, got none")
    found: dict[Observer, dict[str, Range]] = {observer: {} for observer in observers}
    for site in sites:
        for observer, interval in seen_at[site].ranges().items():
            found[observer][site] = _pinned(model.get_layer(site), interval)
    steps = steps_of(model)
    return {observer: settled(steps, ranges) for observer, ranges in found.items()}


def require_fit(model: tf_keras.Model, ranges: Ranges, *, source: str) -> None:
    """Raise `DataError` unless `ranges`, read from `source`, are those of this network's activation sites."""
    sites, groups = activation_sites(model), tied_sites(steps_of(model))
    for site in sites:
        if site not in ranges:
            raise DataError(f"{source} must hold the ranges of this network, got none for {site}")
    for first, *others in groups:
        for other in others:
            if ranges[first] != ranges[other]:
                raise DataError(f"{source}: the ranges of {first} and {other} must be equal: no kernel rescales them")
    for site, interval in ranges.items():
        if site not in sites:
            raise DataError(
                f"{source} must hold the ranges of this network, got one for {site}, which it does not have"
            )
        layer = model.get_layer(site)
        if not isinstance(layer, tf_keras.layers.ReLU) or any(site in group for group in groups):
            continue
        most = float("inf") if layer.max_value is None else float(layer.max_value)
        if interval.low != 0 or interval.high > most:
            raise DataError(
                f"{source}: the range of {site} must lie between 0 and {most:g} and begin at 0, got "
                f"[{interval.low:g}, {interval.high:g}]"
            )


def _pinned(layer: Any, interval: Range) -> Range:
    """The range of `layer`'s output: a ReLU's begins at 0."""
    if isinstance(layer, tf_keras.layers.ReLU):
        return Range(low=0.0, high=interval.high)
    return interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRanges:
    """The range of each activation site, the observer that found them, and how far each candidate was from float.

    No observer found ranges that come from a file. Errors are the mean Kullback-Leibler divergence of a softmax
    network's probabilities, in nats, or the mean divergence of a detector; for other networks the mean
    squared error of the scores. Without a choice there are none.
    """

    ranges: dict[str, Range]
    observer: Observer | None
    errors: Mapping[Observer, float] = field(default_factory=dict)


def observe_ranges(
    model: tf_keras.Model,
    batches: Iterable[Array],
    *,
    observer: Observer,
    views: Sequence[View] = (),
    detector: DetectorMeasure | None = None,
) -> ObservedRanges:
    """Observe the ranges of a folded network over `batches` of its inputs, which are gone through once.

    Other `views` see the same pass.

    With `auto` all candidates observe; the chosen one's ranges, with weights in float, give the answers nearest to
    float's on the first 64 images, by its divergence if the network is a `detector`.
    """
    if observer is not Observer.AUTO:
        found = observe_each(model, batches, observers=(observer,), views=views)[observer]
        return ObservedRanges(ranges=found, observer=observer)
    kept: list[Array] = []
    candidates = observe_each(model, _keeping(batches, kept), observers=CANDIDATES, views=views)
    errors = _errors(model, candidates, kept, detector)
    best = min(errors, key=lambda candidate: errors[candidate])
    return ObservedRanges(ranges=candidates[best], observer=best, errors=errors)


def _keeping(batches: Iterable[Array], kept: list[Array]) -> Iterator[Array]:
    """Pass the batches on, and put their first images into `kept`."""
    for batch in batches:
        left = _TRIED_IMAGES - sum(len(images) for images in kept)
        if left > 0:
            kept.append(batch[:left])
        yield batch


def _errors(
    model: tf_keras.Model, candidates: Mapping[Observer, Ranges], batches: list[Array], detector: DetectorMeasure | None
) -> dict[Observer, float]:
    """How far the answers with each candidate's ranges are from the float network's, by its observer."""
    nodes = layers_of(model)
    floats = _outputs(_forward(nodes, ()), batches, np.zeros((0, 2), np.float32))
    sites = activation_sites(model)
    quantized = _forward(nodes, sites)
    errors = {}
    for name, ranges in candidates.items():
        ends = np.array([[ranges[site].low, ranges[site].high] for site in sites], np.float32)
        found = _outputs(quantized, batches, ends)
        if detector:
            errors[name] = _mean_divergence(detector, floats, found)
            continue
        expected, answers = _side_by_side(floats), _side_by_side(found)
        if gives_softmax(model):
            errors[name] = divergence(expected, answers)
        else:
            errors[name] = float(((answers - expected) ** 2).mean(dtype=np.float64))
    return errors


def _forward(nodes: Sequence[LayerNode], sites: tuple[str, ...]) -> Forward:
    """The outputs of a network before its softmax, the tensors at `sites` rounded to 256 codes over ranges (sites, 2).

    Compiled.
    """

    def forward(x: Any, ends: Any) -> Outputs:
        def compute(node: LayerNode, tensors: Sequence[Any]) -> Any:
            if node.is_output and isinstance(node.layer, tf_keras.layers.Softmax):
                return tensors[0]
            made = node.apply(tensors, training=False)
            if node.name not in sites:
                return made
            low, high = tf.unstack(ends[sites.index(node.name)])
            return tf.quantization.fake_quant_with_min_max_vars(made, low, high, _BITS)

        return outputs_of(nodes, {entry_of(nodes): x}, compute)

    compiled: Forward = tf.function(forward, reduce_retracing=True, autograph=False)
    return compiled


def _outputs(forward: Forward, batches: list[Array], ends: Array) -> list[Outputs]:
    """The outputs for each batch, by name."""
    return [forward(batch, ends) for batch in batches]


def _side_by_side(found: Sequence[Outputs]) -> Array:
    """(n, outputs) of all images, the network's outputs side by side."""
    return np.concatenate(
        [
            np.concatenate([np.asarray(output).reshape(len(output), -1) for output in outputs.values()], axis=1)
            for outputs in found
        ]
    )


def _mean_divergence(detector: DetectorMeasure, floats: Sequence[Outputs], found: Sequence[Outputs]) -> float:
    """The mean divergence of a detector's outputs from those of float, over all images of all batches."""
    expected, answers = (tf.concat([detector.joined(each) for each in outputs], axis=0) for outputs in (floats, found))
    return float(detector.mean_divergence(expected, answers))
