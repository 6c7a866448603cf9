"""Laws of the import: a random graph of supported layers answers as it did, whichever layers follow one another."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.models.keras_import.model import import_model
from mbexport.models.stored_network import network_from_json, network_to_json

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
layers = tf_keras.layers
SHAPE = (7, 6, 3)


@dataclasses.dataclass(frozen=True)
class Layer:
    """What a map may go through; `alike` says that its shape stays."""

    apply: Callable[[Any, int], Any]
    alike: bool = True


LAYERS = {
    "conv": Layer(lambda x, n: layers.Conv2D(x.shape[-1], 1 + 2 * (n % 2), padding="same", use_bias=n > 1)(x)),
    "strided": Layer(lambda x, n: layers.Conv2D(2 + n, 2, strides=1 + n % 2, padding="same")(x), alike=False),
    "depthwise": Layer(lambda x, _: layers.DepthwiseConv2D(3, padding="same")(x)),
    "multiplied": Layer(lambda x, n: layers.DepthwiseConv2D(1, depth_multiplier=1 + n % 2)(x), alike=False),
    "norm": Layer(lambda x, n: layers.BatchNormalization(scale=n % 2 > 0, center=n > 1)(x)),
    "scale": Layer(lambda x, n: layers.Rescaling((0.5, -1.5, 2.0, 1.0)[n], offset=(0.0, 0.3, -0.2, 0.1)[n])(x)),
    "relu": Layer(lambda x, n: layers.ReLU((None, 6.0, 1.0, 0.5)[n])(x)),
    "leaky": Layer(lambda x, n: layers.LeakyReLU(0.1 * n)(x)),
    "swish": Layer(lambda x, _: layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])),
    "hard_sigmoid": Layer(lambda x, _: layers.Activation("hard_sigmoid")(x)),
    "pad": Layer(lambda x, n: layers.ZeroPadding2D(((0, n % 2), (1, 0)))(x), alike=False),
    "average": Layer(lambda x, n: layers.AveragePooling2D(2, strides=1 + n % 2, padding="same")(x), alike=False),
    "largest": Layer(lambda x, n: layers.MaxPooling2D(3, strides=1 + n % 2, padding="same")(x), alike=False),
    "dropout": Layer(lambda x, _: layers.Dropout(0.5)(x)),
    "gate": Layer(
        lambda x, _: layers.Multiply()(
            [x, layers.Dense(x.shape[-1], activation="relu6")(layers.GlobalAveragePooling2D(keepdims=True)(x))]
        )
    ),
}
ALIKE = [name for name, layer in LAYERS.items() if layer.alike]


def weighted(model: Any, seed: int) -> Any:
    """The model with weights that keep values near 1, and statistics as after training."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        values = [rng.normal(0, 0.4, each.shape) for each in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            values = [*values[:-1], rng.uniform(0.5, 1.5, values[-1].shape)]
        layer.set_weights(values)
    return model


steps = st.tuples(st.sampled_from(sorted(LAYERS)), st.integers(0, 3))
alike_steps = st.tuples(st.sampled_from(ALIKE), st.integers(0, 3))


JOINS = {"add": layers.Add, "multiply": layers.Multiply, "concatenate": layers.Concatenate}
# A trunk of stages: what the map goes through, then how a branch is joined to it, if any, and what that goes through.
stages = st.tuples(
    st.lists(steps, max_size=3),
    st.none() | st.sampled_from(sorted(JOINS)),
    st.sampled_from(["conv", "leaky", "depthwise"]),
    st.lists(alike_steps, max_size=2),
)


def kept_as_a_map() -> Callable[[Any], Any]:
    """A mean that keeps its axes, a convolution, then Reshape."""
    mean = layers.GlobalAveragePooling2D(keepdims=True)
    return lambda x: layers.Reshape((-1,))(layers.Conv2D(4, 1)(mean(x)))


HEADS: dict[str, Callable[[], Any]] = {
    "mean": layers.GlobalAveragePooling2D,
    "flat": layers.Flatten,
    "largest": layers.GlobalMaxPooling2D,
    "map": kept_as_a_map,
}
endings = st.sampled_from([("softmax", 3), ("sigmoid", 2), ("linear", 3), ("sigmoid", 1), ("linear", 1)])


def built(trunk: Any, head: str, ending: tuple[str, int], seed: int) -> Any:
    x = image = layers.Input(SHAPE)
    for through, join, first, behind in trunk:
        for name, number in through:
            x = LAYERS[name].apply(x, number)
        if join is not None:
            branch = LAYERS[first].apply(x, 1)
            for name, number in behind:
                branch = LAYERS[name].apply(branch, number)
            x = JOINS[join]()([x, branch])
    activation, units = ending
    scores = layers.Dense(units, activation=activation)(HEADS[head]()(x))
    return weighted(tf_keras.Model(image, scores), seed)


@given(st.lists(stages, min_size=1, max_size=3), st.sampled_from(sorted(HEADS)), endings, st.integers(0, 99))
def test_a_random_graph_answers_as_it_did(
    tmp_path_factory: pytest.TempPathFactory, trunk: Any, head: str, ending: tuple[str, int], seed: int
) -> None:
    model = built(trunk, head, ending, seed)
    path: Path = tmp_path_factory.mktemp("graph") / "model.h5"
    model.save(path)
    imported = import_model(path)
    images = np.random.default_rng(1).uniform(-2, 2, (3, *SHAPE)).astype(np.float32)
    scale, offset = (np.array(value, np.float32) for value in (imported.input_scale, imported.input_offset))
    expected = np.asarray(model(images, training=False))
    found = np.asarray(imported.network(images * scale + offset, training=False))
    found = found[:, 1:] if imported.is_one_score else found
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    again = network_from_json(network_to_json(imported.network))  # nothing but canonical layers
    assert [layer.name for layer in again.layers] == [layer.name for layer in imported.network.layers]
