"""A stored network is a list of layers that we know: it comes back as it was, and nothing else is built from a text."""

import json
from typing import Any

import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, StageError
from mbexport.models import stored_network
from mbexport.models.activations import HardSigmoid, HardSwish
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.resolution import Resolution
from mbexport.models.stored_network import network_from_json, network_to_json

layers = tf_keras.layers


def every_kind() -> tf_keras.Model:
    """Each kind of layer once, in a network with branches."""
    x = image = layers.Input((9, 8, 1), name="image")
    x = layers.ZeroPadding2D(((0, 1), (2, 0)), name="pad")(x)
    x = layers.Conv2D(3, (3, 2), strides=(2, 1), padding="valid", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(momentum=0.5, epsilon=0.01, name="norm")(x)
    x = layers.ReLU(6.0, name="clip")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Concatenate(name="both")([x, layers.LeakyReLU(0.1, name="leaky")(x)])
    x = layers.Add(name="sum")([x, HardSwish(name="swish")(x)])
    x = layers.Multiply(name="product")([x, HardSigmoid(name="gate")(x)])
    x = layers.MaxPooling2D((2, 1), strides=1, padding="same", name="most")(x)
    x = layers.AveragePooling2D(2, padding="same", name="mean")(x)
    x = layers.Conv2D(3, 1, name="project")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Dropout(0.25, name="drop")(x)
    x = layers.Reshape((3,), name="flat")(x)
    x = layers.Activation("sigmoid", name="sigmoid")(x)
    return tf_keras.Model(image, layers.Softmax(name="softmax")(x), name="all")


def by_hand(**changed: Any) -> dict[str, Any]:
    """What the smallest network is stored as, with other fields of its layer."""
    layer = {"name": "relu", "kind": "ReLU", "inputs": ["image"], "settings": {"max_value": 6.0}}
    return {
        "name": "net",
        "input": {"name": "image", "shape": [2, 2, 1]},
        "layers": [{**layer, **changed}],
        "outputs": ["relu"],
    }


@pytest.mark.parametrize(
    "network",
    [
        every_kind(),
        build(ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=7)),
        build(
            ModelSpec(alpha=0.1, resolution=Resolution.square(32), classes=7, conv=Convolution.STANDARD, shallow=True)
        ),
    ],
    ids=["every kind", "MobileNet", "standard"],
)
def test_a_network_comes_back_as_it_was(network):
    text = network_to_json(network)
    found = network_from_json(text)
    assert found.to_json() == network.to_json()
    assert network_to_json(found) == text
    found.set_weights(network.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, (2, *network.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(found(images), network(images))


def test_the_smallest_network_by_hand():
    found = network_from_json(json.dumps(by_hand()))
    np.testing.assert_array_equal(found(np.array([[[[7.0], [-1.0]], [[3.0], [6.5]]]])).numpy().ravel(), [6, 0, 3, 6])
    assert json.loads(network_to_json(found)) == by_hand()


def test_every_kind_is_tried_here():
    kinds = {layer["kind"] for layer in json.loads(network_to_json(every_kind()))["layers"]}
    assert kinds == set(stored_network._KINDS)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (layers.Lambda(lambda x: x), "must be one of ZeroPadding2D, .* got Lambda"),
        (layers.Average(), "must be one of"),
        (layers.Concatenate(axis=1), "has settings of its own"),
        (layers.ReLU(negative_slope=0.1), "has settings of its own"),
        (layers.Conv2D(2, 1, activation="relu"), "has settings of its own"),
        (layers.Conv2D(2, 1, groups=1, kernel_regularizer="l2"), "has settings of its own"),
        (type("Conv2D", (layers.Conv2D,), {})(2, 1), "must be one of"),
    ],
)
def test_what_cannot_be_stored_whole_is_refused(layer, said):
    image = layers.Input((4, 4, 1), name="image")
    x = layer([image, image]) if isinstance(layer, layers.Average | layers.Concatenate) else layer(image)
    with pytest.raises(StageError, match=said):
        network_to_json(tf_keras.Model(image, x))


def keras_json(tmp_path) -> str:
    """A network of Keras' own JSON with a Lambda that names a function of the standard library."""
    config = {
        "name": "evil", "trainable": True, "dtype": "float32", "function": "system", "function_type": "function",
        "module": "os", "output_shape": None, "output_shape_type": "raw", "output_shape_module": None,
        "arguments": {"command": f"touch {tmp_path / 'ran'}"},
    }  # fmt: skip
    image = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 2], "name": "image"}, "name": "image",
             "inbound_nodes": []}  # fmt: skip
    evil = {"class_name": "Lambda", "config": config, "name": "evil", "inbound_nodes": [[["image", 0, 0, {}]]]}
    inner = {"name": "net", "layers": [image, evil], "input_layers": [["image", 0, 0]],
             "output_layers": [["evil", 0, 0]]}  # fmt: skip
    return json.dumps({"class_name": "Functional", "config": inner, "keras_version": "2.19.0", "backend": "tensorflow"})


def test_a_planted_lambda_runs_nothing(tmp_path):
    for text in (keras_json(tmp_path), json.dumps(by_hand(kind="Lambda", settings=json.loads(keras_json(tmp_path))))):
        with pytest.raises(DataError, match="not a stored network"):
            network_from_json(text)
    assert list(tmp_path.iterdir()) == []


EVIL = {"class_name": "os>system", "config": {}, "module": "os", "registered_name": "system"}
BAD_LAYERS = [
    *({"kind": kind} for kind in ("Lambda", "TFOpLambda", "os.system", "relu", "", None, 3, ["ReLU"], {"a": 1})),
    *({"name": name} for name in ("", None, 3, "image")),
    *({"inputs": inputs} for inputs in ([], None, "image", ["nowhere"], ["relu"], [3], [["image"]])),
    *({"settings": {"max_value": value}} for value in ("6", True, [6], EVIL, float("nan"), float("inf"))),
    {"settings": {}},
    {"settings": None},
    {"settings": {"max_value": 6.0, "activation": EVIL}},
    {"extra": 1},
    {"kind": "Activation", "settings": {"activation": "relu"}},
    {"kind": "Activation", "settings": {"activation": EVIL}},
    {"kind": "Reshape", "settings": {"target_shape": [4, -1]}},
    {"kind": "Reshape", "settings": {"target_shape": [5]}},
    {"kind": "Dropout", "settings": {"rate": EVIL}},
    {"kind": "ZeroPadding2D", "settings": {"padding": [[1, 1], [1]]}},
    {"kind": "ZeroPadding2D", "settings": {"padding": [[1, -1], [1, 1]]}},
]


@pytest.mark.parametrize("changed", BAD_LAYERS, ids=str)
def test_a_layer_that_is_not_ours_is_not_built(changed):
    with pytest.raises(DataError, match="not a stored network") as caught:
        network_from_json(json.dumps(by_hand(**changed)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"input": {"name": "image", "shape": [2, 2]}},
        {"input": {"name": "image", "shape": [2, 2, 0]}},
        {"input": "image"},
        {"layers": []},
        {"layers": {}},
        {"outputs": []},
        {"outputs": ["image"]},
        {"outputs": ["nowhere"]},
        {"outputs": [[]]},
        {"name": 3},
        {"more": 1},
    ],
    ids=str,
)
def test_a_network_that_is_not_ours_is_not_built(changed):
    with pytest.raises(DataError, match="not a stored network"):
        network_from_json(json.dumps({**by_hand(), **changed}))


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "kind", "layers"]), inner),
    max_leaves=8,
)


@given(st.text() | JSONS.map(json.dumps))
def test_any_other_text_is_refused(text):
    with pytest.raises(DataError, match="not a stored network"):
        network_from_json(text)
