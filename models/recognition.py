"""Recognize a network that somebody else stored by the channels of its convolutions."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from mbexport.models.cost import Cost
from mbexport.models.spec import NetworkSpec, variant_options
from mbexport.models.stem_width import with_padded_stem

Layers = Sequence[tuple[int, bool]]  # (channels, is_depthwise) of each convolution, in order
SpecOfChannels = Callable[[Layers], NetworkSpec | None]


def spec_by_cost(spec: type[NetworkSpec], cost: Callable[[Any], Cost]) -> SpecOfChannels:
    """A function that recognizes networks of an architecture whose channels are rounded, by those that `cost` lists.

    Rounding gives several widths the same channels: it answers the roundest of them, in hundredths. Resolution and
    classes are those of no network: layers behind the pooled features, which may be missing, are not looked at.
    """

    def body_of(each: NetworkSpec) -> list[tuple[int, bool]]:
        return [(layer.channels_out, layer.kind == "depthwise") for layer in cost(each).layers if layer.kind != "head"]

    def spec_of_channels(layers: Layers) -> NetworkSpec | None:
        for variant in _variants(spec):
            kinds = [is_depthwise for _, is_depthwise in body_of(spec(**variant))]  # which no width changes
            body = list(layers[: len(kinds)])
            if [is_depthwise for _, is_depthwise in body] != kinds:
                continue
            candidates = (spec(alpha=hundredth / 100, **variant) for hundredth in _hundredths(spec.max_alpha))
            found = next((each for each in candidates if body in _forms(body_of(each))), None)
            if found is not None:
                return found
        return None

    return spec_of_channels


def _forms(body: list[tuple[int, bool]]) -> tuple[list[tuple[int, bool]], ...]:
    """The body as it is built, and as an int8 file may have it."""
    return body, with_padded_stem(body)


def _hundredths(most: float) -> list[int]:
    """Every width up to `most` in hundredths, round ones first."""
    return sorted(range(1, round(100 * most) + 1), key=lambda each: (each % 25 != 0, each % 5 != 0))


def _variants(spec: type[NetworkSpec]) -> Iterator[dict[str, Any]]:
    """Every choice of the options of an architecture, which are flags."""
    names = variant_options(spec)
    for values in product((False, True), repeat=len(names)):
        yield dict(zip(names, values, strict=True))
