"""Turns a folded network and calibration images into how often each channel has which value."""

from collections.abc import Iterable

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.equalization import BINS, ChannelValues
from mbexport.calibration.range_file import Ranges

_SAMPLED = 20_000  # positions of a batch: every channel is seen at each of them


def channel_values(
    folded: tf_keras.Model, ranges: Ranges, sites: Iterable[str], batches: Iterable[NDArray[np.float32]]
) -> dict[str, ChannelValues]:
    """Those of `sites`, layers behind which every value is at least 0, over batches of the network's input."""
    names = list(sites)
    probe = tf_keras.Model(folded.input, [folded.get_layer(name).output for name in names])
    counts: dict[str, list[NDArray[np.float64]]] = {}
    for batch in batches:
        outputs = probe.predict_on_batch(batch)
        for name, output in zip(names, outputs if len(names) > 1 else [outputs], strict=True):
            values = output.reshape(-1, output.shape[-1])
            values = values[:: max(1, len(values) // _SAMPLED)]
            found = _counted(values, ranges[name].high)
            counts[name] = (
                [one + other for one, other in zip(counts.get(name, found), found, strict=True)]
                if (name in counts)
                else found
            )
    return {
        name: ChannelValues(high=ranges[name].high, counts=bins, zeros=zeros) for name, (bins, zeros) in counts.items()
    }


def _counted(values: NDArray[np.float32], high: float) -> list[NDArray[np.float64]]:
    """Counts (channels, BINS) and zeros (channels,) of `values` (n, channels)."""
    channels = values.shape[1]
    bins = np.clip((values * (BINS / high)).astype(np.int64), 0, BINS - 1) + np.arange(channels) * BINS
    counts = np.bincount(bins.ravel(), minlength=channels * BINS).reshape(channels, BINS)
    return [
        counts.astype(np.float64),
        (values <= 0).sum(axis=0).astype(np.float64),
    ]
