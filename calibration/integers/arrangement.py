"""How an integer artifact stores the channels of each tensor: which ones, shifted and multiplied by what.

Float arithmetic gives the same answers in any arrangement; what rounding does to them is another matter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import tf_keras
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, Range
from mbexport.calibration.detector_measure import DetectorMeasure
from mbexport.calibration.integers.channels import ChannelCounts
from mbexport.calibration.integers.copies import Copies, find_spares, make_copies, with_padded_stem
from mbexport.calibration.integers.equalization import (
    ChannelValues,
    Scaling,
    balanced_scaling,
    free_scaling,
    rounding_variances,
)
from mbexport.calibration.integers.importance import noise_costs
from mbexport.calibration.integers.offsets import offsets_behind
from mbexport.calibration.integers.propagation import tensor_sizes
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.ranges.watch import small_batches, watch
from mbexport.calibration.steps import Step, steps_of
from mbexport.models.folding import gives_softmax
from mbexport.models.graph import only_readers

_PARTS: Final = ("kernel", "bias")

Array = NDArray[np.float32]
Batches = Callable[[], Iterable[Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """By name, kernel and bias of the convolutions that make or read copies; by site, the scaling of each tensor."""

    weights: dict[str, list[Array]]
    scalings: dict[str, Scaling]

    def steps(self, folded: tf_keras.Model) -> list[Step]:
        """The steps of the float network `folded`, with copies."""
        return [step.with_weights(self.weights) for step in steps_of(folded)]

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """The arrangement as float64 arrays, for a file: `factors/SITE`, `shifts/SITE`, `kernel/NAME`, `bias/NAME`."""
        found = {f"factors/{site}": scaling.factors for site, scaling in self.scalings.items()}
        found |= {f"shifts/{site}": scaling.shifts for site, scaling in self.scalings.items()}
        for name, arrays in self.weights.items():
            found |= {f"{part}/{name}": array.astype(np.float64) for part, array in zip(_PARTS, arrays, strict=True)}
        return found

    @classmethod
    def from_arrays(cls, found: Mapping[str, NDArray[np.float64]]) -> "Arrangement":
        """Read what `to_arrays` gave."""
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
    """The arrangement that stores every channel as it is."""
    return Arrangement(weights={}, scalings={step.site: Scaling.none(step.channels) for step in steps_of(folded)})


def arrange(
    folded: tf_keras.Model,
    ranges: Ranges,
    batches: Batches,
    *,
    entry: Range,
    has_copies: bool = True,
    is_equalized: bool = True,
    channels: ChannelCounts | None = None,
    detector: DetectorMeasure | None = None,
    seed: int = 0,
) -> Arrangement:
    """Choose the arrangement of `folded`, whose input has the range `entry` and whose activations have `ranges`.

    `batches()` gives calibration images as float32 (n, px, px, channels); `channels` are the values of the tensors that
    `arranged_sites` names, if they have been counted already; `detector` is what the network is, if it is one; `seed`
    decides what is random.
    """
    plain = plain_arrangement(folded)
    steps = plain.steps(folded)
    readers = _convolutions_behind_relus(steps)
    if not readers or not (has_copies or is_equalized):
        return plain
    values = (channels or count_channels(folded, batches())).values(ranges)
    copies = Copies.none()
    places = find_spares(with_padded_stem(steps), ranges, entry=entry) if has_copies else []
    if places:
        sites = [site for place in places for site in place.sites]
        # All tensors of a batch are held for the gradient.
        small = small_batches(batches(), largest=sum(tensor_sizes(folded, steps).values()))
        costs = noise_costs(steps, sites, small, is_softmax=gives_softmax(folded), detector=detector, seed=seed)
        copies = make_copies(places, {site: costs[site] * rounding_variances(values[site]) for site in sites})
        values |= {site: values[site].taken(sources) for site, sources in copies.sources.items()}
    scalings = dict(plain.scalings)
    for site, reader in readers.items():
        scaling = Scaling.none(len(values[site].counts))
        if is_equalized:
            scaling = _equalized(values[site], reader.with_weights(copies.weights))
        scalings[site] = scaling
    for carriers in copies.carriers:
        for site, offsets in offsets_behind(carriers, copies.sources, scalings, ranges).items():
            scalings[site] = scalings[site].moved(offsets * ranges[site].high / CODE_STEPS)
    return Arrangement(weights=copies.weights, scalings=scalings)


def arranged_sites(folded: tf_keras.Model) -> tuple[str, ...]:
    """The tensors whose channels may be stored otherwise than they are: those between two convolutions."""
    return tuple(_convolutions_behind_relus(steps_of(folded)))


def count_channels(folded: tf_keras.Model, batches: Iterable[Array]) -> ChannelCounts:
    """The values of the channels that may be arranged, over batches of network inputs."""
    counts = ChannelCounts(arranged_sites(folded))
    watch(folded, batches, counts.views())
    return counts


def _equalized(values: ChannelValues, reader: Step) -> Scaling:
    """The scaling of a tensor that `reader` reads."""
    if reader.is_depthwise:
        return free_scaling(values)
    return balanced_scaling(values, reader.weights[0], may_shift=not reader.is_padded)


def _convolutions_behind_relus(steps: Sequence[Step]) -> dict[str, Step]:
    """Tensors between two convolutions, the first with a ReLU and the second their only reader: by site, that reader.

    Channels of other tensors stay as they are: a sum, say, needs those of both its inputs alike.
    """
    readers, found = only_readers(steps), {}
    for step in steps:
        reader = readers.get(step.site)
        if step.ceiling is None or step.convolution is None or reader is None or reader.convolution is None:
            continue
        if reader.keeps_channels:
            found[step.site] = reader
    return found
