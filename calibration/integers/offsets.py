"""Choose the parts of a step by which copies behind a depthwise convolution are shifted, given those before it.

Copies are spread evenly over a step, so that their mean rounds in finer ones. Behind a depthwise convolution the same
spread may undo that: its gain turns what parts the copies before it into whole steps, say, and all of them round
alike. What counts is the mean of what both roundings leave.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mbexport.calibration.integers.equalization import Scaling
from mbexport.calibration.ranges.range_file import Ranges
from mbexport.calibration.steps import Step

_GRID: Final = 16  # offsets that are tried, in a step
_SPREADS: Final = np.arange(-4, 5)  # multiples of the even spread: where coordinate descent starts
_ROUNDS: Final = 8
_VALUES: Final = 2048
_CODES: Final = 256

Array = NDArray[np.float64]


def spread(sources: NDArray[np.int64]) -> Array:
    """The part of a step by which each channel is shifted, (channels,): n copies lie 1 / n from each other."""
    offsets = np.zeros(len(sources))
    for source in np.unique(sources):
        holders = np.flatnonzero(sources == source)
        offsets[holders] = (np.arange(len(holders)) - (len(holders) - 1) / 2) / len(holders)
    return offsets


def offsets_behind(
    carriers: Sequence[Step], sources: Mapping[str, NDArray[np.int64]], scalings: Mapping[str, Scaling], ranges: Ranges
) -> dict[str, Array]:
    """By site of `carriers`, a full convolution and the depthwise ones behind it, the offsets of its channels.

    In steps of the tensor's codes, (channels,). The carriers have the weights of copies, and `sources` says by site
    which channel each one holds; `scalings` and `ranges` are those of their tensors.
    """
    first = carriers[0]
    held_by = sources[first.site]
    found = {step.site: spread(held_by) for step in carriers}
    for source in np.unique(held_by):
        holders = np.flatnonzero(held_by == source)
        if len(holders) == 1:
            continue
        values, phases = even_values()
        held = rounded(values, found[first.site][holders])
        gain = 1.0
        for before, step in pairwise(carriers):
            own = _gain(step, holders[0], scalings[before.site], scalings[step.site])
            own *= ranges[before.site].high / ranges[step.site].high
            gain *= own
            # The bias may put all of them at any part of a step.
            made, wanted = own * held + phases, gain * values + phases
            found[step.site][holders] = best_offsets(made, wanted)
            held = rounded(made, found[step.site][holders]) - phases
    return found


def _gain(step: Step, channel: int, incoming: Scaling, outgoing: Scaling) -> float:
    """What a depthwise convolution multiplies an even area by, between channels that are scaled."""
    taps = step.weights[0].astype(np.float64).sum(axis=(0, 1, 3))
    return float(taps[channel] * outgoing.factors[channel] / incoming.factors[channel])


def even_values() -> tuple[Array, Array]:
    """Values spread evenly over all codes, in steps, and parts of a step, spread evenly beside them: (values,) each.

    By the multiples of two numbers that have no whole ratio (Roberts 2018, "The Unreasonable Effectiveness of
    Quasirandom Sequences": the plastic constant's powers).
    """
    plastic = 1.324717957244746  # the real root of x ** 3 = x + 1
    number = np.arange(1, _VALUES + 1)
    return number / plastic % 1 * _CODES, number / plastic**2 % 1


def rounded(values: Array, offsets: Array) -> Array:
    """What copies with `offsets` (n,) hold of `values` (values,) or (n, values), in steps: (n, values)."""
    shifted = values + offsets[:, None]
    return np.asarray(np.rint(shifted) - offsets[:, None])


def best_offsets(held: Array, wanted: Array) -> Array:
    """The offsets (n,) with which the mean of `held` (n, values), rounded once more, follows `wanted` (values,) best.

    By the variance of the difference: a bias makes up for its mean. Coordinate descent over sixteenths of a step,
    from several spreads. Their mean is zero, so that the range is used as it was.
    """
    count = len(held)
    grid = np.arange(_GRID) / _GRID
    tried = np.rint(held[:, None] + grid[:, None]) - grid[:, None]  # (n, offsets, values)
    even = (np.arange(count) - (count - 1) / 2) / count
    starts = np.rint(np.outer(_SPREADS, even) % 1 * _GRID).astype(np.int64) % _GRID
    ends = [_descended(tried, start, wanted) for start in starts]
    _, best = min(ends, key=lambda end: end[0])
    found = (grid[best] + 0.5) % 1 - 0.5
    return np.asarray(found - found.mean())


def _descended(tried: Array, start: NDArray[np.int64], wanted: Array) -> tuple[float, NDArray[np.int64]]:
    """The least variance that moving one offset at a time reaches from `start`, and the offsets there."""
    count, chosen, least = len(tried), start.copy(), np.inf
    for _ in range(_ROUNDS):
        before = least
        for copy in range(count):
            others = sum(tried[other, chosen[other]] for other in range(count) if other != copy)
            errors = ((tried[copy] + others) / count - wanted).var(axis=1)
            chosen[copy] = errors.argmin()
            least = float(errors[chosen[copy]])
        if not least < before:
            break
    return least, chosen
