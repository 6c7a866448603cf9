"""Turns channels that do nothing into second copies of those that rounding hurts most.

Folding leaves channels that are constant whatever the network sees: of the first 24 of MobileNet 0.75 with ImageNet
weights, 12. Such a channel can hold what another one holds, shifted by half a step, and the next full convolution
reads the mean of both: a tensor of 8 bits with the steps of 9, at no cost. Float arithmetic gives the same with and
without copies. After channel splitting (Zhao et al. 2019, "Improving Neural Network Quantization without Retraining
using Outlier Channel Splitting", arXiv 1901.09504), which adds channels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.affine import Range
from mbexport.calibration.equalization import ChannelValues, best_limits
from mbexport.calibration.ranges import Ranges
from mbexport.calibration.steps import Step

_CODES: Final = 255
_CONSTANT: Final = 0.1  # of a step: a channel that moves by less is constant

Array = NDArray[np.float64]
Weights = Mapping[str, list[NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """A network with copies: `weights` of the convolutions that changed, by name.

    `sources` (channels,) says for each rectified site that changed which channel of the original each one holds;
    `offsets` (channels,) by what part of a step it is shifted, so that the copies of a channel are spread evenly.
    """

    weights: dict[str, list[NDArray[np.float32]]]
    sources: dict[str, NDArray[np.int64]]
    offsets: dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Steps that carry channels side by side: a full convolution, the depthwise ones behind it, and who reads them."""

    entry: Range  # of what the first one takes
    carriers: tuple[Step, ...]
    reader: Step


def copies_of(steps: list[Step], ranges: Ranges, values: Mapping[str, ChannelValues], *, entry: Range) -> Copies:
    """Where copies help in a network of `steps` whose input has the range `entry`.

    `values` are those of the rectified sites that a convolution reads.
    """
    found = Copies(weights={}, sources={}, offsets={})
    for group in _groups(steps, ranges, entry):
        weights = {step.convolution.name: _weights(step, found) for step in (*group.carriers, group.reader)}
        low, high = _bounds(group, ranges, weights)
        step_size = ranges[group.carriers[-1].site].high / _CODES
        is_spare = high - low < _CONSTANT * step_size
        if group.reader.is_padded:
            is_spare &= high < step_size  # its padding is zero, and would not be the constant
        errors = np.where(is_spare, 0, _errors(group, values, weights))
        if not is_spare.any() or not errors.any():
            continue
        sources = _assigned(errors, np.flatnonzero(is_spare))
        offsets = _spread(sources)
        found.weights.update(_copied(group, weights, sources, constants=(low + high) / 2))
        for step in group.carriers:
            found.sources[step.site], found.offsets[step.site] = sources, offsets
    return found


def _groups(steps: list[Step], ranges: Ranges, entry: Range) -> Iterator[_Group]:
    before = entry
    for number, step in enumerate(steps):
        taken, before = before, ranges[step.site]
        if step.convolution is None or step.is_depthwise:
            continue
        carriers = [step]
        for following in steps[number + 1 :]:
            if following.convolution is None or not following.is_depthwise:
                break
            carriers.append(following)
        rest = steps[number + len(carriers) :]
        is_rectified = all(carrier.ceiling is not None for carrier in carriers)
        if is_rectified and rest and rest[0].convolution is not None:
            yield _Group(entry=taken, carriers=tuple(carriers), reader=rest[0])


def _weights(step: Step, found: Copies) -> list[NDArray[np.float32]]:
    name = step.convolution.name
    return found.weights.get(name, list(step.weights))


def _bounds(group: _Group, ranges: Ranges, weights: Weights) -> tuple[Array, Array]:
    """The least and the greatest value that each channel of the last carrier can have, whatever goes in."""
    first, *others = group.carriers
    kernel, bias = weights[first.convolution.name]
    columns = kernel.reshape(-1, len(bias)).astype(np.float64)
    ends = np.stack([columns * group.entry.low, columns * group.entry.high])
    low, high = ends.min(axis=0).sum(axis=0) + bias, ends.max(axis=0).sum(axis=0) + bias
    low, high = (np.clip(end, 0, ranges[first.site].high) for end in (low, high))
    for step in others:
        kernel, bias = weights[step.convolution.name]
        taps = kernel.reshape(-1, len(bias)).astype(np.float64)
        ends = np.stack([taps * 0.0, taps * low, taps * high])  # zero where the kernel meets padding
        low, high = ends.min(axis=0).sum(axis=0) + bias, ends.max(axis=0).sum(axis=0) + bias
        low, high = (np.clip(end, 0, ranges[step.site].high) for end in (low, high))
    return low, high


def _errors(group: _Group, values: Mapping[str, ChannelValues], weights: Weights) -> Array:
    """The variance that the rounding of each channel's values adds to what the reader makes of it, (channels,)."""
    total = np.zeros(len(weights[group.carriers[0].convolution.name][1]))
    for step in group.carriers:
        if step.is_depthwise:
            total *= (weights[step.convolution.name][0].astype(np.float64) ** 2).sum(axis=(0, 1, 3))
        held = values[step.site]
        _, limits = best_limits(held)
        moving = 1 - held.zeros / np.maximum(held.counts.sum(axis=1), 1)
        total += moving * (limits / _CODES) ** 2 / 12
    kernel, _ = weights[group.reader.convolution.name]
    return np.asarray(total * (kernel.astype(np.float64) ** 2).sum(axis=(0, 1, 3)))


def _assigned(errors: Array, spare: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which channel each one holds, (channels,): the spare ones take, one by one, the channel that gains most.

    n copies that are spread evenly over a step round as one channel with n times as many codes does.
    """
    sources = np.arange(len(errors))
    copies = np.ones(len(errors))
    for channel in spare:
        gains = errors * (1 / copies**2 - 1 / (copies + 1) ** 2)
        sources[channel] = gains.argmax()
        copies[sources[channel]] += 1
    return sources


def _spread(sources: NDArray[np.int64]) -> Array:
    """By what part of a step each channel is shifted, (channels,): the n copies of one by 1 / n from each other."""
    offsets = np.zeros(len(sources))
    for source in np.unique(sources):
        holders = np.flatnonzero(sources == source)
        offsets[holders] = (np.arange(len(holders)) - (len(holders) - 1) / 2) / len(holders)
    return offsets


def _copied(
    group: _Group, weights: Weights, sources: NDArray[np.int64], *, constants: Array
) -> dict[str, list[NDArray[np.float32]]]:
    """The weights with which each carrier makes the copies and the reader takes their mean."""
    found = {}
    for step in group.carriers:
        kernel, bias = weights[step.convolution.name]
        found[step.convolution.name] = [
            kernel[:, :, sources] if step.is_depthwise else kernel[..., sources],
            bias[sources],
        ]
    kernel, bias = weights[group.reader.convolution.name]
    spare = sources != np.arange(len(sources))
    # What the spare channels held becomes part of the bias.
    bias = bias + (kernel.sum(axis=(0, 1))[spare] * constants[spare, None]).sum(axis=0)
    copies = np.bincount(sources, minlength=len(sources))[sources]
    found[group.reader.convolution.name] = [
        (kernel[:, :, sources] / copies[:, None]).astype(np.float32),
        bias.astype(np.float32),
    ]
    return found
