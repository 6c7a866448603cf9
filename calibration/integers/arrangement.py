"""Turns a folded network into how an integer artifact stores its channels: which ones, shifted and multiplied by what.

Float arithmetic gives the same answers in any arrangement; what rounding does to them is another matter.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, Range
from mbexport.calibration.integers.copies import Copies, channel_values, copies_of, spares_of
from mbexport.calibration.integers.equalization import (
    ChannelValues,
    Scaling,
    balanced_scaling,
    free_scaling,
    rounding_variances,
)
from mbexport.calibration.integers.importance import noise_costs
from mbexport.calibration.ranges.ranges import Ranges
from mbexport.calibration.steps import Step, steps_of

_PARTS: Final = ("kernel", "bias")

Array = NDArray[np.float32]
Batches = Callable[[], Iterable[Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """By name, kernel and bias of the convolutions that make or read copies; by site, how each tensor is scaled."""

    weights: dict[str, list[Array]]
    scalings: dict[str, Scaling]

    def steps(self, folded: tf_keras.Model) -> list[Step]:
        """Those of the float network with copies."""
        return [step.with_weights(self.weights) for step in steps_of(folded)]

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Every part under a name of its own, float64."""
        found = {f"factors/{site}": scaling.factors for site, scaling in self.scalings.items()}
        found |= {f"shifts/{site}": scaling.shifts for site, scaling in self.scalings.items()}
        for name, arrays in self.weights.items():
            found |= {f"{part}/{name}": array.astype(np.float64) for part, array in zip(_PARTS, arrays, strict=True)}
        return found

    @classmethod
    def from_arrays(cls, found: Mapping[str, NDArray[np.float64]]) -> "Arrangement":
        """What `to_arrays` gave."""
        parts: dict[str, dict[str, NDArray[np.float64]]] = {kind: {} for kind in ("factors", "shifts", *_PARTS)}
        for key, array in found.items():
            kind, _, name = key.partition("/")
            parts[kind][name] = array
        return cls(
            weights={name: [parts[part][name].astype(np.float32) for part in _PARTS] for name in parts["kernel"]},
            scalings={
                site: Scaling(factors=factors, shifts=parts["shifts"][site])
                for site, factors in parts["factors"].items()
            },
        )


def plain_arrangement(folded: tf_keras.Model) -> Arrangement:
    """Every channel as it is."""
    scalings, channels = {}, int(folded.input_shape[-1])
    for step in steps_of(folded):
        channels = step.channels or channels
        scalings[step.site] = Scaling.none(channels)
    return Arrangement(weights={}, scalings=scalings)


def arranged(
    folded: tf_keras.Model,
    ranges: Ranges,
    batches: Batches,
    *,
    entry: Range,
    has_copies: bool = True,
    is_equalized: bool = True,
    seed: int = 0,
) -> Arrangement:
    """The arrangement of `folded`, whose input has the range `entry` and whose activations have `ranges`.

    `batches()` gives calibration images as float32 (n, px, px, channels); `seed` decides what is random.
    """
    plain = plain_arrangement(folded)
    steps = plain.steps(folded)
    read = _rectified_and_read(steps)
    if not read or not (has_copies or is_equalized):
        return plain
    values = channel_values(folded, ranges, read, batches())
    copies = Copies.none()
    places = spares_of(steps, ranges, entry=entry) if has_copies else []
    if places:
        sites = [site for place in places for site in place.sites]
        is_softmax = isinstance(folded.layers[-1], tf_keras.layers.Softmax)
        costs = noise_costs(steps, sites, batches(), is_softmax=is_softmax, seed=seed)
        copies = copies_of(places, {site: costs[site] * rounding_variances(values[site]) for site in sites})
        steps = [step.with_weights(copies.weights) for step in steps]
        values |= {site: values[site].taken(sources) for site, sources in copies.sources.items()}
    scalings = dict(plain.scalings)
    for step, following in pairwise(steps):
        if step.site in values:
            scaling = _equalized(values[step.site], following) if is_equalized else scalings[step.site]
            offsets = copies.offsets.get(step.site, np.zeros(len(scaling.factors)))
            scalings[step.site] = scaling.moved(offsets * ranges[step.site].high / CODE_STEPS)
    return Arrangement(weights=copies.weights, scalings=scalings)


def _equalized(values: ChannelValues, reader: Step) -> Scaling:
    if reader.is_depthwise:
        return free_scaling(values)
    return balanced_scaling(values, reader.weights[0], may_shift=not reader.is_padded)


def _rectified_and_read(steps: list[Step]) -> list[str]:
    """The sites behind a ReLU that a convolution reads."""
    return [
        step.site
        for step, following in pairwise(steps)
        if step.ceiling is not None and following.convolution is not None
    ]
