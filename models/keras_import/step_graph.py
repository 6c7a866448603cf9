"""Hold the steps of a model as a graph: each step with the values that it reads."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mbexport.models.keras_import.steps import Step

IMAGE: Final = -1  # the number of the value that the model takes; step i gives the value i


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A step, and the numbers of the values that it reads, in order."""

    step: Step
    inputs: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class StepGraph:
    """Steps in an order in which they can be computed. `outputs` are the numbers of the values that the model gives."""

    nodes: list[Node] = field(default_factory=list)
    outputs: list[int] = field(default_factory=lambda: [IMAGE])

    def add(self, steps: Iterable[Step], inputs: Sequence[int]) -> int:
        """Append steps that follow one another, the first of which reads `inputs`; the number of what they give.

        No steps at all give what they read. That value is the only output until something else is added.
        """
        value = inputs[0]
        for step in steps:
            self.nodes.append(Node(step=step, inputs=tuple(inputs)))
            value = len(self.nodes) - 1
            inputs = (value,)
        self.outputs = [value]
        return value

    @property
    def output(self) -> int:
        """The number of the value that a model of one output gives."""
        (value,) = self.outputs
        return value

    def readers(self) -> Counter[int]:
        """How often each value is read; giving out an output counts, too."""
        return Counter([*(value for node in self.nodes for value in node.inputs), *self.outputs])
