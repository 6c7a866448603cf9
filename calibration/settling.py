"""Turns a fake-quantized network and images into how its rectified tensors use their ranges, and which left them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import activation_affine
from mbexport.calibration.range_file import Ranges

_MOST_MORE_CLIPPED: Final = 0.01  # of a tensor's values
_LEAST_USED: Final = 0.5  # of a range: below it one of eight bits tells nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeUse:
    """What a layer makes for one range: which share of it, from 0 to 1, is cut off, and how far up it reaches.

    `reach` is the largest value as a share of the range's upper end, above 1 where it is cut off.
    """

    clipped: float
    reach: float


def range_uses(
    quantized: tf_keras.Model, ranges: Ranges, batches: Iterable[NDArray[np.float32]]
) -> dict[str, RangeUse]:
    """How each rectified tensor uses its range, over batches (n, px, px, channels) of the network's input.

    What a ReLU gives is looked at before it is rounded; values that rounding brings back to the range's upper end are
    not cut off.
    """
    rectified = {
        layer.layer.name: layer
        for layer in quantized.layers
        if isinstance(getattr(layer, "layer", None), tf_keras.layers.ReLU)
    }
    if not rectified:
        return {}
    probe = tf_keras.Model(quantized.input, [_unrounded(layer) for layer in rectified.values()])
    clipped, count, peaks = (dict.fromkeys(rectified, 0.0) for _ in range(3))
    for batch in batches:
        outputs = probe.predict_on_batch(batch)
        for site, values in zip(rectified, outputs if len(rectified) > 1 else [outputs], strict=True):
            end = ranges[site].high + activation_affine(ranges[site]).scale[0] / 2
            clipped[site] += float((values > end).sum())
            count[site] += values.size
            peaks[site] = max(peaks[site], float(values.max()))
    return {
        site: RangeUse(clipped=clipped[site] / max(count[site], 1), reach=peaks[site] / ranges[site].high)
        for site in rectified
    }


def unsettled(before: Mapping[str, RangeUse], after: Mapping[str, RangeUse]) -> tuple[str, ...]:
    """The tensors that no longer suit their ranges, which stayed: much more is cut off, or they fell below half."""
    return tuple(
        site
        for site, now in after.items()
        if now.clipped > before[site].clipped + _MOST_MORE_CLIPPED or now.reach < _LEAST_USED <= before[site].reach
    )


def _unrounded(wrapper: Any) -> Any:
    return type(wrapper.layer).from_config(wrapper.layer.get_config())(wrapper.input)
