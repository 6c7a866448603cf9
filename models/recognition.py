"""Recognize a network that somebody else stored by the channels of its convolutions."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from mbexport.models.cost import Cost
from mbexport.models.spec import NetworkSpec, variant_options

Layers = Sequence[tuple[int, bool]]  # (channels, is_depthwise) of each convolution, in order
SpecOfChannels = Callable[[Layers], NetworkSpec | None]


def spec_by_cost(spec: type[NetworkSpec], cost: Callable[[Any], Cost]) -> SpecOfChannels:
    """A function that recognizes networks of an architecture whose channels are rounded, by those that `cost` lists.

    Rounding gives several widths the same channels: it answers the roundest of them, in hundredths. Resolution and
    classes are those of no network: layers behind the pooled features, which may be missing, are not looked at.
    """

    def spec_of_channels(layers: Layers) -> NetworkSpec | None:
        for each in _candidates(spec):
            body = [(each.channels_out, each.kind == "depthwise") for each in cost(each).layers if each.kind != "head"]
            if list(layers[: len(body)]) == body:
                return each
        return None

    return spec_of_channels


def _candidates(spec: type[NetworkSpec]) -> Iterator[NetworkSpec]:
    """A network of every width and variant, round widths first."""
    hundredths = sorted(range(1, round(100 * spec.max_alpha) + 1), key=lambda each: (each % 25 != 0, each % 5 != 0))
    variants = [dict(zip(variant_options(spec), values, strict=True)) for values in _values(spec)]
    for hundredth, variant in product(hundredths, variants):
        yield spec(alpha=hundredth / 100, **variant)


def _values(spec: type[NetworkSpec]) -> Iterator[tuple[bool, ...]]:
    """Every choice of the options of an architecture, which are flags."""
    return product((False, True), repeat=len(variant_options(spec)))
