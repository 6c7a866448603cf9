"""Put second copies of the channels that rounding hurts most into channels that do nothing.

Folding leaves channels that are constant whatever the network sees: of the first 24 of MobileNet 0.75 with ImageNet
weights, 12. Such a channel can hold what another one holds, shifted by half a step, and the next full convolution
reads the mean of both: a tensor of 8 bits with the steps of 9, at no cost. Float arithmetic gives the same with and
without copies. After channel splitting (Zhao et al. 2019, "Improving Neural Network Quantization without Retraining
using Outlier Channel Splitting", arXiv 1901.09504), which adds channels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import CODE_STEPS, Range
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.steps import Step
from mbexport.models.graph import entry_of, only_readers
from mbexport.models.stem_width import padded_width

_CONSTANT: Final = 0.1  # of a step: a channel that moves by less is constant

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The copies in a network: by name, `weights` of the convolutions that make or read them.

    `sources` (channels,) says for each rectified site that changed which channel of the original each one holds;
    `carriers` are the steps of each place that carry copies, with the weights that make them.
    """

    weights: dict[str, list[NDArray[np.float32]]]
    sources: dict[str, NDArray[np.int64]]
    carriers: list[tuple[Step, ...]]

    @classmethod
    def none(cls) -> "Copies":
        """No copies anywhere."""
        return cls(weights={}, sources={}, carriers=[])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spares:
    """Where copies may lie: the `channels` (n,) that do nothing in some steps.

    `carriers` carry channels side by side: a full convolution, and the depthwise ones behind it. `reader` is the full
    convolution that reads the last of them, whose channels have the value of `constants` (all channels,) there.
    """

    carriers: tuple[Step, ...]
    reader: Step
    channels: NDArray[np.int64]
    constants: Array

    @property
    def sites(self) -> list[str]:
        """The sites of the tensors that may hold copies."""
        return [step.site for step in self.carriers]


def find_spares(steps: Sequence[Step], ranges: Ranges, *, entry: Range) -> list[Spares]:
    """Find the places for copies in a network of `steps` whose input has the range `entry`."""
    found = []
    for carriers, reader in _groups(steps):
        taken = ranges.get(carriers[0].inputs[0], entry)
        low, high = _bounds(taken, carriers, ranges)
        step_size = ranges[carriers[-1].site].high / CODE_STEPS
        is_spare = high - low < _CONSTANT * step_size
        if reader.is_padded:
            is_spare &= high < step_size  # its padding is zero, and would not be the constant
        if is_spare.any() and not is_spare.all():
            constants = (low + high) / 2
            found.append(
                Spares(carriers=carriers, reader=reader, channels=np.flatnonzero(is_spare), constants=constants)
            )
    return found


def make_copies(places: list[Spares], costs: Mapping[str, Array]) -> Copies:
    """Fill the spare channels with copies.

    `costs`, by site, are what rounding the values of each channel costs, (channels,): nothing for those that were
    added behind these.
    """
    found = Copies.none()
    for place in places:
        errors = np.zeros(len(place.constants))
        for site in place.sites:
            errors[: len(costs[site])] += costs[site]
        errors[place.channels] = 0
        if not errors.any():
            continue
        sources = _assigned(errors, place.channels)
        found.weights.update(_copied(place, found, sources))
        found.sources.update(dict.fromkeys(place.sites, sources))
        found.carriers.append(tuple(step.with_weights(found.weights) for step in place.carriers))
    return found


def with_padded_stem(steps: Sequence[Step]) -> list[Step]:
    """The steps with as many channels behind the first convolution as kernels compute anyway.

    The channels that are added are zero, and so are the weights that read them: places for copies. Only where the
    convolution that reads the image is followed by depthwise ones, if by any, up to a full one.
    """
    entry = entry_of(steps)
    group = next((group for group in _groups(steps) if group[0][0].inputs == (entry,)), None)
    if group is None:
        return list(steps)
    carriers, reader = group
    more = padded_width(carriers[0].channels) - carriers[0].channels
    padded = {step.site: _with_zeros(step, made=more) for step in carriers}
    padded[reader.site] = _with_zeros(reader, read=more)
    return [padded.get(step.site, step) for step in steps]


def _with_zeros(step: Step, *, made: int = 0, read: int = 0) -> Step:
    """The step with weights of zero for so many more channels that it makes, or reads."""
    kernel, bias = step.weights
    channels = ((0, made), (0, 0)) if step.is_depthwise else ((0, read), (0, made))
    return replace(step, weights=(np.pad(kernel, ((0, 0), (0, 0), *channels)), np.pad(bias, (0, made))))


def _groups(steps: Sequence[Step]) -> Iterator[tuple[tuple[Step, ...], Step]]:
    """Each full convolution with the depthwise ones behind it, and the full one that reads the last of them.

    Each of them is read by the next one alone: a channel that something else reads, too, must stay what it is.
    """
    readers = only_readers(steps)
    for step in steps:
        if step.convolution is None or step.is_depthwise:
            continue
        carriers, reader = [step], readers.get(step.site)
        while reader and reader.is_depthwise and reader.keeps_channels:
            carriers.append(reader)
            reader = readers.get(reader.site)
        is_rectified = all(carrier.ceiling is not None for carrier in carriers)
        if is_rectified and reader and reader.convolution is not None and reader.keeps_channels:
            yield tuple(carriers), reader


def _bounds(taken: Range, carriers: tuple[Step, ...], ranges: Ranges) -> tuple[Array, Array]:
    """The least and the greatest value that each channel of the last carrier can have, whatever goes in."""
    first, *others = carriers
    low, high = _after(first, np.array(taken.low), np.array(taken.high), ranges)
    for step in others:
        low, high = _after(step, low, high, ranges)
    return low, high


def _after(step: Step, low: Array, high: Array, ranges: Ranges) -> tuple[Array, Array]:
    """The bounds behind a step, from those of its input, (channels,) or (), which may be zero where it is padded."""
    kernel, bias = step.weights
    columns = kernel.reshape(-1, len(bias)).astype(np.float64)
    ends = np.stack([columns * 0.0, columns * low, columns * high])
    bounds = ends.min(axis=0).sum(axis=0) + bias, ends.max(axis=0).sum(axis=0) + bias
    low, high = (np.clip(end, 0, ranges[step.site].high) for end in bounds)
    return low, high


def _assigned(errors: Array, spare: NDArray[np.int64]) -> NDArray[np.int64]:
    """The channel whose copy each one holds, (channels,): spare ones take, one by one, the channel that gains most.

    n copies that are spread evenly over a step round as one channel with n times as many codes does.
    """
    sources = np.arange(len(errors))
    copies = np.ones(len(errors))
    for channel in spare:
        gains = errors * (1 / copies**2 - 1 / (copies + 1) ** 2)
        sources[channel] = gains.argmax()
        copies[sources[channel]] += 1
    return sources


def _copied(place: Spares, found: Copies, sources: NDArray[np.int64]) -> dict[str, list[NDArray[np.float32]]]:
    """The weights with which each carrier makes the copies and the reader takes the mean of them."""
    copied = {}
    for step in place.carriers:
        kernel, bias = found.weights.get(step.convolution.name, step.weights)
        kernel = kernel[:, :, sources] if step.is_depthwise else kernel[..., sources]
        copied[step.convolution.name] = [kernel, bias[sources]]
    kernel, bias = place.reader.weights
    # What the spare channels held becomes part of the bias.
    held = (kernel.sum(axis=(0, 1)) * place.constants[:, None])[place.channels].sum(axis=0)
    copies = np.bincount(sources, minlength=len(sources))[sources]
    copied[place.reader.convolution.name] = [
        (kernel[:, :, sources] / copies[:, None]).astype(np.float32),
        (bias + held).astype(np.float32),
    ]
    return copied
