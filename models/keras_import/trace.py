"""Find each layer of a user's model in the canonical network that was made of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbexport.models.facts import Output
from mbexport.models.keras_import.entries import Canonical
from mbexport.models.keras_import.step_graph import IMAGE
from mbexport.models.keras_import.tensors import IDENTITY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """What a layer of the model gives is what the network's `name` gives, times `factor` plus `shift`.

    With `is_second_class` it is one score, that of the second class alone; with `is_relative` the values have no bound.
    """

    layer: Any
    name: str
    factor: NDArray[np.float32]
    shift: NDArray[np.float32]
    is_second_class: bool
    is_relative: bool

    def found(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The layer's own values, one row for each image, of those of the network."""
        own = values[..., 1:] if self.is_second_class else values
        return (own * self.factor + self.shift).reshape(len(values), -1)


def traces_of(
    canonical: Canonical, layers: Iterable[tuple[Any, int | None]], *, names: Sequence[str], scores: str
) -> Iterator[Trace]:
    """The layers that can be found, each given with the number of its value in the graph, if it has one there.

    Not among them are layers of which nothing is left: those that a convolution or an activation has taken up.
    """
    output = canonical.output
    for layer, value in layers:
        tensor = None if value is None else canonical.tensors[value]
        if tensor is None or tensor.source == IMAGE or tensor.revision != canonical.entries[tensor.source].revision:
            continue
        is_end = tensor.output is not Output.LOGITS
        factor, shift = IDENTITY if is_end else tensor.waiting
        is_widened = canonical.is_one_score and (is_end or tensor.source == output.source)
        yield Trace(
            layer=layer,
            name=scores if is_end else names[tensor.source],
            factor=factor.astype(np.float32),
            shift=shift.astype(np.float32),
            is_second_class=is_widened,
            is_relative=not is_end,
        )
