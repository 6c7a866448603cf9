"""Networks as graphs: the order of nodes, what they read and who reads them, and a walk that computes the network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras

from mbexport.errors import StageError
from mbexport.models.graph import LayerNode, entry_of, layers_of, only_readers, outputs_of, walk
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.resolution import Resolution

layers = tf_keras.layers


@pytest.fixture(scope="module")
def branching() -> Any:
    """image -> a -> (b -> c, shortcut) -> add -> end; c is an output, too."""
    image = layers.Input((4, 4, 2), name="image")
    a = layers.Conv2D(3, 1, name="a")(image)
    c = layers.ReLU(name="c")(layers.Conv2D(3, 3, padding="same", name="b")(a))
    added = layers.Add(name="add")([c, layers.Conv2D(3, 1, name="shortcut")(a)])
    return tf_keras.Model(image, [layers.ReLU(name="end")(added), c])


def test_a_branching_network_by_hand(branching: Any) -> None:
    nodes = layers_of(branching)
    assert {node.name: node.inputs for node in nodes} == {
        "a": ("image",),
        "b": ("a",),
        "c": ("b",),
        "shortcut": ("a",),
        "add": ("c", "shortcut"),
        "end": ("add",),
    }
    order = [node.name for node in nodes]
    assert order[0] == "a"
    assert order[-2:] == ["add", "end"]
    assert order.index("b") < order.index("c")
    assert entry_of(nodes) == "image"
    assert {node.name for node in nodes if node.is_output} == {"c", "end"}


def test_only_readers_by_hand(branching: Any) -> None:
    # Two read a; one alone reads c, which the network gives out besides.
    found = only_readers(layers_of(branching))
    assert {name: node.name for name, node in found.items()} == {
        "image": "a",
        "b": "c",
        "shortcut": "add",
        "add": "end",
    }


def test_a_tensor_that_one_node_takes_twice_has_one_reader() -> None:
    image = layers.Input((4, 4, 2), name="image")
    x = layers.ReLU(name="relu")(image)
    nodes = layers_of(tf_keras.Model(image, layers.Multiply(name="square")([x, x])))
    assert nodes[-1].inputs == ("relu", "relu")
    assert only_readers(nodes)["relu"] is nodes[-1]
    pixels = np.full((1, 4, 4, 2), 3, np.float32)
    (found,) = outputs_of(nodes, {"image": pixels}, LayerNode.apply).values()
    assert (np.asarray(found) == 9).all()


def computed(network: Any, images: np.ndarray) -> list[np.ndarray]:
    nodes = layers_of(network)
    made = outputs_of(nodes, {entry_of(nodes): images}, LayerNode.apply)
    return [np.asarray(made[name]) for name in network.output_names]


def test_a_walk_computes_what_the_network_does(branching: Any, randomize: Callable[..., Any]) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 2)).astype(np.float32)
    network = randomize(branching)
    for one, other in zip(computed(network, images), network(images), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_node_of_a_chain_reads_the_one_before_it_and_a_walk_computes_it(randomize: Callable[..., Any]) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    network = randomize(build(ModelSpec(alpha=0.05, resolution=Resolution.square(32), classes=3, shallow=True)))
    nodes = layers_of(network)
    names = [layer.name for layer in network.layers]
    assert [node.name for node in nodes] == names[1:]
    assert [node.inputs for node in nodes] == [(name,) for name in names[:-1]]
    np.testing.assert_array_equal(computed(network, images)[0], network(images))


def test_a_walk_holds_a_tensor_until_its_last_reader_has_read_it(branching: Any) -> None:
    class Tensor:
        """Says when it is let go."""

        def __init__(self, name: str) -> None:
            self.name = name
            alive.add(name)

        def __del__(self) -> None:
            alive.discard(self.name)

    alive: set[str] = set()
    nodes = [node for node in layers_of(branching) if node.name != "end"]
    held = {}
    for node, _ in walk(nodes, {"image": Tensor("image")}, lambda node, _: Tensor(node.name)):
        held[node.name] = set(alive)
    assert held["a"] == {"a"}
    assert held["b"] == {"a", "b"}
    assert "a" not in held["add"]
    assert held["add"] == {"add"}


def test_a_layer_that_takes_more_than_tensors_is_refused() -> None:
    image = layers.Input((4, 4, 2))
    network = tf_keras.Model(image, layers.ReLU(name="relu")(image) * 2.0)
    with pytest.raises(StageError, match="must take tensors alone, got other arguments of tf"):
        layers_of(network)


def test_a_network_with_two_inputs_is_refused() -> None:
    images = [layers.Input((4, 4, 2)), layers.Input((4, 4, 2))]
    with pytest.raises(StageError, match="must have one input, got 2"):
        layers_of(tf_keras.Model(images, layers.Add()(images)))


def test_a_use_outside_the_network_does_not_count() -> None:
    image = layers.Input((4, 4, 2), name="image")
    relu = layers.ReLU(name="relu")
    network = tf_keras.Model(image, relu(image))
    relu(layers.Input((4, 4, 2)))
    assert [node.inputs for node in layers_of(network)] == [("image",)]
