"""References to calls that a layer does not have, for which Keras would wait for ever."""

from typing import Any

import pytest

from mbexport.errors import DataError
from mbexport.models.keras_import.calls import calls_of


def model(number: int, kind: str = "ReLU") -> dict[str, Any]:
    """input -> a (of that kind) -> b, where b takes what the call `number` of a gave; in the notation of Keras 2."""

    def layer(name: str, class_name: str, nodes: list[Any], **config: Any) -> dict[str, Any]:
        return {"name": name, "class_name": class_name, "config": {"name": name, **config}, "inbound_nodes": nodes}

    layers = [
        layer("i", "InputLayer", [], batch_input_shape=[None, 4, 4, 3]),
        layer("a", kind, [[["i", 0, 0, {}]]]),
        layer("b", "ReLU", [[["a", number, 0, {}]]]),
    ]
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [["b", 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}


def test_the_one_call_of_a_layer_is_found() -> None:
    assert [call.name for call in calls_of(model(0))] == ["a", "b"]


@pytest.mark.parametrize("number", [1, 2, -1])
def test_another_call_is_refused(number: int) -> None:
    with pytest.raises(DataError, match=rf"layer a \(ReLU\) has 1 calls, and its call {number} is asked for"):
        calls_of(model(number))
