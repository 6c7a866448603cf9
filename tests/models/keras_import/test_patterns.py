"""Activations that are written as arithmetic become one step each, and compute what they did."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.patterns import with_activations
from mbexport.models.keras_import.step_graph import IMAGE, StepGraph
from mbexport.models.keras_import.steps import (
    Bound,
    Clip,
    HardSigmoid,
    HardSwish,
    Leak,
    Product,
    Scale,
    Step,
    Sum,
)

X = np.linspace(-8, 8, 65)  # steps of a quarter: both sides of every corner, and the corners


def scale(factor: float = 1.0, shift: float = 0.0) -> Scale:
    return Scale(name="scale", factor=np.full(1, factor), shift=np.full(1, shift))


def clip(ceiling: float | None) -> Clip:
    return Clip(name="clip", ceiling=ceiling)


def bound(ceiling: float | None) -> Bound:
    return Bound(name="bound", ceiling=ceiling)


def product() -> Product:
    return Product(name="product")


def hard_sigmoid(x: Any) -> Any:
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


COMPUTE: dict[type[Step], Callable[..., Any]] = {
    Scale: lambda step, x: x * step.factor + step.shift,
    Clip: lambda step, x: np.minimum(np.maximum(x, 0), np.inf if step.ceiling is None else step.ceiling),
    Bound: lambda step, x: np.maximum(x, 0) if step.ceiling is None else np.minimum(x, step.ceiling),
    Leak: lambda step, x: np.where(x > 0, x, x * step.slope),
    HardSigmoid: lambda _, x: hard_sigmoid(x),
    HardSwish: lambda _, x: x * hard_sigmoid(x),
    Product: lambda _, *xs: np.prod(xs, axis=0),
    Sum: lambda _, *xs: np.sum(xs, axis=0),
}


def computed(graph: StepGraph) -> Any:
    values = {IMAGE: X}
    for number, node in enumerate(graph.nodes):
        values[number] = COMPUTE[type(node.step)](node.step, *(values[each] for each in node.inputs))
    return values[graph.output]


def kinds(graph: StepGraph) -> list[str]:
    return [type(node.step).__name__ for node in with_activations(graph)[0].nodes]


def chain(*steps: Step, graph: StepGraph | None = None, source: int = IMAGE) -> StepGraph:
    graph = StepGraph() if graph is None else graph
    graph.add(steps, [source])
    return graph


def gated(*gate: Step, behind: tuple[Step, ...] = (), is_first: bool = True) -> StepGraph:
    """x times what `gate` makes of x, for x = leak(image)."""
    graph = StepGraph()
    x = graph.add([Leak(name="leak", slope=0.1)], [IMAGE])
    value = graph.add(gate, [x])
    graph.add([product(), *behind], [x, value] if is_first else [value, x])
    return graph


SIXTH = float(np.float32(1 / 6))
ONE_STEP = {
    "applications": (chain(scale(shift=3), clip(6.0), scale(SIXTH)), "HardSigmoid"),
    "Keras 3": (chain(scale(1 / 6), scale(shift=0.5), clip(1.0)), "HardSigmoid"),
    "a graph of TensorFlow": (chain(scale(1 / 6), scale(shift=0.5), bound(1.0), bound(None)), "HardSigmoid"),
    "min of max": (chain(bound(None), bound(4.0)), "Clip"),
    "max of min": (chain(bound(4.0), bound(None)), "Clip"),
    "max": (chain(bound(None)), "Clip"),
    "min of relu": (chain(clip(None), bound(4.0)), "Clip"),
}
GATES = {
    "applications": gated(scale(shift=3), clip(6.0), scale(SIXTH)),
    "the gate first": gated(scale(shift=3), clip(6.0), scale(1 / 6), is_first=False),
    "divided behind the product": gated(scale(shift=3), clip(6.0), behind=(scale(1 / 6),)),
    "a hard-sigmoid": gated(HardSigmoid(name="gate")),
    "Keras 3": gated(scale(1 / 6, 0.5), bound(1.0), bound(None)),
}
OTHERS = {
    "cut off elsewhere": chain(scale(shift=3), clip(5.0), scale(1 / 6)),
    "shifted by 2": chain(scale(shift=2), clip(6.0), scale(1 / 6)),
    "Keras 2": chain(scale(0.2, 0.5), clip(1.0)),
    "a fifth": gated(scale(shift=3), clip(6.0), behind=(scale(1 / 5),)),
    "not divided": gated(scale(shift=3), clip(6.0)),
}


@pytest.mark.parametrize("name", ONE_STEP)
def test_an_activation_becomes_one_step(name: str) -> None:
    graph, kind = ONE_STEP[name]
    assert kinds(graph) == [kind]
    np.testing.assert_allclose(computed(with_activations(graph)[0]), computed(graph), atol=1e-6)


@pytest.mark.parametrize("name", GATES)
def test_a_hard_swish_becomes_one_step(name: str) -> None:
    assert kinds(GATES[name]) == ["Leak", "HardSwish"]
    np.testing.assert_allclose(computed(with_activations(GATES[name])[0]), computed(GATES[name]), atol=1e-6)


@pytest.mark.parametrize("name", OTHERS)
def test_others_stay_as_they_are(name: str) -> None:
    assert kinds(OTHERS[name]) == [type(node.step).__name__ for node in OTHERS[name].nodes]


def test_what_another_step_reads_stays() -> None:
    graph = StepGraph()
    inside = graph.add([scale(shift=3), clip(6.0)], [IMAGE])
    gate = graph.add([scale(1 / 6)], [inside])
    graph.add([Sum(name="sum")], [inside, gate])
    assert kinds(graph) == ["Scale", "Clip", "Scale", "Sum"]


def test_values_inside_an_activation_have_no_number() -> None:
    _, numbers = with_activations(GATES["applications"])
    assert numbers == {IMAGE: IMAGE, 0: 0, 4: 1}


def test_a_minimum_alone_is_refused() -> None:
    with pytest.raises(DataError, match="bound clips values above 4 only: it must clip them below 0, too"):
        with_activations(chain(bound(4.0), scale(2.0)))


NUMBERS = st.sampled_from([1.0, 3.0, 6.0, 1 / 6, 0.5, 0.2, -1.0, 0.0])
CEILINGS = st.sampled_from([1.0, 4.0, 6.0])


@st.composite
def graphs(draw: st.DrawFn) -> StepGraph:
    """Steps of the kinds that activations are made of, each behind any of those before it."""
    graph, values = StepGraph(), [IMAGE]
    for _ in range(draw(st.integers(1, 12))):
        recent = st.sampled_from(values[-3:])
        kind = draw(st.sampled_from(["scale", "scale", "clip", "both", "join"]))
        if kind == "join":
            step: Step = draw(st.sampled_from([product(), Sum(name="sum")]))
            values.append(graph.add([step], [draw(recent), draw(recent)]))
            continue
        steps = {
            "scale": [scale(draw(NUMBERS), draw(NUMBERS))],
            "clip": [clip(draw(st.none() | CEILINGS))],
            "both": draw(st.permutations([bound(None), bound(draw(CEILINGS))])),
        }[kind]
        values.append(graph.add(steps, [draw(recent)]))
    return graph


@given(graphs())
def test_any_graph_computes_what_it_did(graph: StepGraph) -> None:
    found, numbers = with_activations(graph)
    expected = computed(graph)
    np.testing.assert_allclose(computed(found), expected, atol=1e-5 * max(1.0, np.abs(expected).max()))
    assert numbers[graph.output] == found.output
