"""Find activations that are written as arithmetic, and put one step in the place of each.

MobileNet v3 of `applications` computes its hard-sigmoid as relu6(x + 3) * (1 / 6), and its hard-swish as x times that.
Graphs of TensorFlow have min(max(x, 0), c) for what is one clip.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mbexport.errors import DataError
from mbexport.models.keras_import.step_graph import IMAGE, Node, StepGraph
from mbexport.models.keras_import.steps import Bound, Clip, HardSigmoid, HardSwish, Product, Scale, Step

_TOLERANCE: Final = 1e-6  # of factors that were written as float32


def with_activations(graph: StepGraph) -> tuple[StepGraph, dict[int, int]]:
    """The graph with one step for each activation, and the numbers of the values in it by those in `graph`.

    Values inside an activation are left out. Raises `DataError` for a minimum without a maximum.
    """
    finder = _Finder(graph)
    nodes: dict[int, Node] = {}
    front = list(graph.outputs)
    while front:
        value = front.pop()
        if value != IMAGE and value not in nodes:
            nodes[value] = finder.activation(value) or graph.nodes[value]
            front += nodes[value].inputs
    numbers: dict[int, int] = {IMAGE: IMAGE}
    kept = StepGraph()
    for value, node in sorted(nodes.items()):
        if isinstance(node.step, Bound):
            raise DataError(
                f"{node.step.name} clips values above {node.step.ceiling:g} only: it must clip them below 0, too"
            )
        numbers[value] = kept.add([node.step], [numbers[each] for each in node.inputs])
    kept.outputs = [numbers[value] for value in graph.outputs]
    return kept, numbers


class _Finder:
    def __init__(self, graph: StepGraph) -> None:
        self._nodes, self._readers = graph.nodes, graph.readers()

    def activation(self, value: int) -> Node | None:
        """The node that gives what the value's own node does, in one step with those before it."""
        for find in (self._hard_swish, self._hard_sigmoid, self._clip):
            node = find(value)
            if node is not None:
                return node
        return None

    def _before(self, value: int, kind: type[Step]) -> Node | None:
        """The node of the value, if it is of that kind."""
        node = self._nodes[value] if value != IMAGE else None
        return node if node is not None and isinstance(node.step, kind) else None

    def _inner(self, value: int, kind: type[Step]) -> Node | None:
        """The same, where one step alone reads the value."""
        return self._before(value, kind) if self._readers[value] == 1 else None

    def _affine(self, value: int) -> tuple[int, float, float]:
        """The value from which scalings by single numbers lead to this one, and their factor and shift together."""
        factor, shift = 1.0, 0.0
        while (node := self._inner(value, Scale)) is not None:
            step: Any = node.step
            if step.factor.size != 1 or step.shift.size != 1:
                break
            shift += factor * step.shift.item()
            factor *= step.factor.item()
            value = node.inputs[0]
        return value, factor, shift

    def _hard_sigmoid(self, value: int) -> Node | None:
        """relu6(x + 3) / 6, or min(max(x / 6 + 0.5, 0), 1)."""
        own = self._nodes[value].step
        if isinstance(own, Clip | Bound):
            return self._cut(value, ceiling=1.0, gain=1 / 6, name=own.name)
        if not isinstance(own, Scale) or not _is(own.factor, 1 / 6) or not _is(own.shift, 0.0):
            return None
        inside = self._nodes[value].inputs[0]
        return self._cut(inside, ceiling=6.0, gain=1.0, name=own.name) if self._readers[inside] == 1 else None

    def _cut(self, value: int, *, ceiling: float, gain: float, name: str) -> Node | None:
        """The hard-sigmoid, if the value is `ceiling` times one: (x + 3) * gain, cut off below 0 and at `ceiling`."""
        node = self._before(value, Clip) or self._clip(value)
        if node is None or not _is(getattr(node.step, "ceiling", None), ceiling):
            return None
        source, factor, shift = self._affine(node.inputs[0])
        if not (_is(factor, gain) and _is(shift, 3 * gain)):
            return None
        return Node(step=HardSigmoid(name=name), inputs=(source,))

    def _hard_swish(self, value: int) -> Node | None:
        """x * hard_sigmoid(x), or x * relu6(x + 3) / 6."""
        own = self._nodes[value]
        if isinstance(own.step, Product):
            return self._gated(value, self._hard_sigmoid)
        if isinstance(own.step, Scale) and _is(own.step.factor, 1 / 6) and _is(own.step.shift, 0.0):
            inside = own.inputs[0]
            if self._inner(inside, Product) is not None:
                return self._gated(inside, lambda gate: self._cut(gate, ceiling=6.0, gain=1.0, name=own.step.name))
        return None

    def _gated(self, value: int, gate_of: Callable[[int], Node | None]) -> Node | None:
        """The hard-swish, if the value is a product of x and what `gate_of` knows as a hard-sigmoid of x."""
        node = self._nodes[value]
        if len(node.inputs) != 2:
            return None
        for x, gate in (node.inputs, node.inputs[::-1]):
            if gate == IMAGE or self._readers[gate] != 1:
                continue
            found = self._before(gate, HardSigmoid) or gate_of(gate)
            if found is not None and found.inputs == (x,):
                return Node(step=HardSwish(name=node.step.name), inputs=(x,))
        return None

    def _clip(self, value: int) -> Node | None:
        """A clip of both sides from its halves, in any order, each as often as it occurs."""
        own = self._nodes[value].step
        if not isinstance(own, Bound):
            return None
        name, has_floor, ceilings, source = own.name, own.ceiling is None, [own.ceiling], self._nodes[value].inputs[0]
        while (node := self._inner(source, Bound) or self._inner(source, Clip)) is not None:
            step: Any = node.step
            ceilings.append(step.ceiling)
            has_floor |= isinstance(step, Clip) or step.ceiling is None
            name, source = step.name, node.inputs[0]
        if not has_floor:
            return None
        ceiling = min((each for each in ceilings if each is not None), default=None)
        return Node(step=Clip(name=name, ceiling=ceiling), inputs=(source,))


def _is(value: Any, expected: float) -> bool:
    """Whether it is one number, and that one."""
    return value is not None and np.size(value) == 1 and abs(np.asarray(value).item() - expected) <= _TOLERANCE
