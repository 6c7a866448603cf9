"""Turns a folded network and calibration images into the range of each of its activation tensors."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.observers import MinMaxObserver
from mbexport.errors import DataError, OptionError, StageError

# The one legal int8 map of probabilities: scale 1/256 and zero point -128 (TFLite quantization specification,
# "SOFTMAX" and "LOGISTIC").
PROBABILITY_RANGE: Final = Range(low=0.0, high=255 / 256)

Ranges = Mapping[str, Range]


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


def observe(model: tf_keras.Model, batches: Iterable[NDArray[np.float32]]) -> dict[str, Range]:
    """The range of each activation site over `batches` of network inputs, each (n, px, px, channels) float32.

    A ReLU's minimum is exactly 0, whatever was seen: it is pinned there, so that no code is wasted below it.
    Raises `StageError` if there was nothing to see, or a value is not finite.
    """
    sites = activation_sites(model)
    probe = tf_keras.Model(model.input, [model.get_layer(site).output for site in sites])
    observers = {site: MinMaxObserver() for site in sites}
    seen = 0
    for batch in batches:
        outputs = probe.predict_on_batch(batch)
        for site, values in zip(sites, outputs if len(sites) > 1 else [outputs], strict=True):
            observers[site].observe(values)
        seen += len(batch)
    if not seen:
        raise StageError("calibration must see at least one image, got none")
    return {site: _pinned(model.get_layer(site), observers[site].range()) for site in sites}


def _pinned(layer: Any, interval: Range) -> Range:
    if isinstance(layer, tf_keras.layers.ReLU):
        return Range(low=0.0, high=interval.high)
    return interval


def ranges_to_json(ranges: Ranges) -> str:
    """One bound a line, so that two calibrations can be compared with diff."""
    return json.dumps({site: [r.low, r.high] for site, r in ranges.items()}, indent=1) + "\n"


def ranges_from_json(text: str) -> dict[str, Range]:
    """The ranges that `ranges_to_json` wrote. Raises `DataError` if the text is something else."""
    try:
        return {site: Range(low=low, high=high) for site, (low, high) in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError, RecursionError, OptionError) as error:
        raise DataError(f"not a file of ranges: {error}") from None
