"""Describe a tensor between two steps: the map that it is, the shape in which the model has it, and what waits there.

A scaling of channels waits until the next convolution takes it up; until then the tensor stands for what is computed
times `factor` plus `shift`.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.facts import Output
from mbexport.models.keras_import.step_graph import IMAGE
from mbexport.models.keras_import.steps import Array, Scale

Scaling = tuple[Array, Array]  # factor and shift, (1, 1, 1) to (height, width, channels)
IDENTITY: Final[Scaling] = (np.ones((1, 1, 1)), np.zeros((1, 1, 1)))
_END: Final = "reshape"  # the name of the layer before the scores, where the model has none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """What the entry `source` of a canonical network gives, times and plus what is `waiting`.

    `shape` is (height, width, channels); `view` the shape that the model has in its place: the same, or
    (places, channels), or one vector with axes of 1 before it. `waiting_name` is the step that scales. With `is_sole`
    nothing else reads what `source` gives; `revision` is that of the entry. `end` is the last step that reshapes,
    `output` what the tensor ends in, by the step `output_name`.
    """

    shape: tuple[int, int, int]
    view: tuple[int, ...]
    source: int = IMAGE
    waiting: Scaling = IDENTITY
    waiting_name: str = ""
    is_sole: bool = True
    revision: int = 0
    end: str = _END
    output: Output = Output.LOGITS
    output_name: str = ""

    @property
    def channels(self) -> int:
        """The length of the last axis, as the model has it."""
        return self.view[-1]

    @property
    def places(self) -> tuple[int, int]:
        """The map as (places, channels)."""
        height, width, channels = self.shape
        return height * width, channels

    @property
    def is_map(self) -> bool:
        """Whether the model has the map in the shape that it has here."""
        return self.view == self.shape

    @property
    def is_vector(self) -> bool:
        """Whether there is one place, and the model has it as one vector."""
        return self.places[0] == 1 and math.prod(self.view) == self.view[-1]

    @property
    def keeps_channels(self) -> bool:
        """Whether the last axis of the model's shape is that of the channels, and not of all values."""
        return self.view in (self.shape, self.places)

    @property
    def is_scaled(self) -> bool:
        """Whether a scaling waits."""
        return self.waiting is not IDENTITY

    @property
    def varies_by_place(self) -> bool:
        """Whether what waits is another scaling at each place of the map."""
        return any(value.shape[:2] != (1, 1) for value in self.waiting)

    def scaled(self, step: Scale) -> "Tensor":
        """The tensor with one more scaling that waits, of which each value fits the channels."""
        factor, shift = (self.spread_out(value, step.name) for value in (step.factor, step.shift))
        old_factor, old_shift = self.waiting
        waiting = (old_factor * factor, old_shift * factor + shift)
        return replace(self, waiting=waiting, waiting_name=step.name)

    def spread_out(self, value: Array, name: str) -> Array:
        """The value in a shape that broadcasts to (height, width, channels), however the model has the map."""
        if value.size == 1:
            return value.reshape(1, 1, 1)
        if value.ndim == 3 and value.shape[:2] != (1, 1):
            raise DataError(f"{name} scales places of the map differently: it must have one value for each channel")
        if value.size != self.channels:
            raise DataError(
                f"{name} must have one value, or one for each of {self.channels} channels, got {value.size}"
            )
        return value.reshape((1, 1, -1) if self.keeps_channels else self.shape)

    def require_last_axis(self, name: str, verb: str, axis: int) -> None:
        """Raise `DataError` unless the axis is that of the channels."""
        if axis not in (-1, len(self.view)):
            raise DataError(f"{name} {verb} along axis {axis}: it must be the last one, the channels")
