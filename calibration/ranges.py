"""Turns a folded network and calibration images into the range of each of its activation tensors."""

from collections.abc import Collection, Iterable
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.choices import Observer
from mbexport.calibration.observers import SiteObserver
from mbexport.calibration.range_file import Ranges
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
