"""Files as Keras 2.1 wrote them: another class for the model, a custom relu6, depthwise_* keys and scoped weights."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray

pytestmark = pytest.mark.run

layers = tf_keras.layers
Old = list[tuple[str, str, dict[str, Any]]]  # name, class, configuration


def old_chain() -> Old:
    """The form of keras.applications.MobileNet in Keras 2.1.6: keras/applications/mobilenet.py, saved."""
    convolution = {"data_format": "channels_last", "activation": "linear", "use_bias": False}
    depthwise = {
        **convolution, "kernel_size": [3, 3], "depth_multiplier": 1, "depthwise_regularizer": None,
        "depthwise_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0}},
        "depthwise_constraint": None, "bias_initializer": {"class_name": "Zeros", "config": {}},
    }  # fmt: skip
    norm = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
    pointwise = {**convolution, "kernel_size": [1, 1], "strides": [1, 1], "padding": "same", "dilation_rate": [1, 1]}
    stem = {**pointwise, "filters": 4, "kernel_size": [3, 3], "strides": [2, 2], "padding": "valid"}
    return [
        ("conv1_pad", "ZeroPadding2D", {"padding": [[1, 1], [1, 1]], "data_format": "channels_last"}),
        ("conv1", "Conv2D", stem),
        ("conv1_bn", "BatchNormalization", norm),
        ("conv1_relu", "Activation", {"activation": "relu6"}),
        ("conv_pad_1", "ZeroPadding2D", {"padding": [[0, 1], [0, 1]], "data_format": "channels_last"}),
        ("conv_dw_1", "DepthwiseConv2D", {**depthwise, "strides": [2, 2], "padding": "valid"}),
        ("conv_dw_1_bn", "BatchNormalization", norm),
        ("conv_dw_1_relu", "Activation", {"activation": "relu6"}),
        ("conv_pw_1", "Conv2D", {**pointwise, "filters": 6}),
        ("conv_pw_1_bn", "BatchNormalization", norm),
        ("conv_pw_1_relu", "Activation", {"activation": "relu6"}),
        ("global_average_pooling2d_1", "GlobalAveragePooling2D", {"data_format": "channels_last"}),
        ("reshape_1", "Reshape", {"target_shape": [1, 1, 6]}),
        ("dropout", "Dropout", {"rate": 0.001, "noise_shape": None, "seed": None}),
        ("conv_preds", "Conv2D", {**pointwise, "filters": 3, "use_bias": True}),
        ("act_softmax", "Activation", {"activation": "softmax"}),
        ("reshape_2", "Reshape", {"target_shape": [3]}),
    ]


def twin() -> Any:
    """The same network in tf_keras of today."""
    image = x = layers.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv1")(layers.ZeroPadding2D(1)(x))
    x = layers.ReLU(6)(layers.BatchNormalization(name="conv1_bn")(x))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="conv_dw_1")(x)
    x = layers.ReLU(6)(layers.BatchNormalization(name="conv_dw_1_bn")(x))
    x = layers.Conv2D(6, 1, use_bias=False, name="conv_pw_1")(x)
    x = layers.ReLU(6)(layers.BatchNormalization(name="conv_pw_1_bn")(x))
    x = layers.Dense(3, activation="softmax", name="conv_preds")(layers.GlobalAveragePooling2D()(x))
    return tf_keras.Model(image, x)


VARIABLES = {
    "Conv2D": ("kernel", "bias"),
    "DepthwiseConv2D": ("depthwise_kernel",),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def write_old(path: Path, model: dict[str, Any], weights: dict[str, list[NDArray[np.float32]]], chain: Old) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.1.6", b"tensorflow"
        file.attrs["model_config"] = json.dumps(model).encode()
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name, _, _ in chain]
        for name, kind, _ in chain:
            group = root.create_group(name)
            variables = VARIABLES.get(kind, ())[: len(weights.get(name, ()))]
            names = [f"{name}/{variable}:0" for variable in variables]
            group.attrs["weight_names"] = [one.encode() for one in names] or np.array([], "S1")
            for one, value in zip(names, weights.get(name, ()), strict=True):
                group[one] = value


def functional(chain: Old) -> dict[str, Any]:
    image = {"batch_input_shape": [None, 16, 16, 3], "dtype": "float32", "sparse": False, "name": "input_1"}
    described = [{"name": "input_1", "class_name": "InputLayer", "config": image, "inbound_nodes": []}]
    for name, kind, config in chain:
        node = [[[described[-1]["name"], 0, 0, {}]]]
        inner = {"name": name, "trainable": True, **config}
        described.append({"name": name, "class_name": kind, "config": inner, "inbound_nodes": node})
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [[chain[-1][0], 0, 0]]}
    return {"class_name": "Model", "config": {"name": "mobilenet_0.10_16", "layers": described, **ends}}


def sequential(chain: Old) -> dict[str, Any]:
    """Until Keras 2.2.3 the configuration of a Sequential model was a list, its first layer knew the input."""
    inner = [{"class_name": kind, "config": {"name": name, **config}} for name, kind, config in chain]
    inner[0]["config"]["batch_input_shape"] = [None, 16, 16, 3]
    return {"class_name": "Sequential", "config": inner}


@pytest.mark.parametrize("describe", [functional, sequential])
def test_a_file_of_keras_2_1(tmp_path: Path, randomize: Any, agrees: Any, describe: Any) -> None:
    model = randomize(twin())
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    weights["conv_preds"][0] = weights["conv_preds"][0].reshape(1, 1, 6, 3)
    write_old(tmp_path / "old.h5", describe(old_chain()), weights, old_chain())
    imported = agrees(model, tmp_path / "old.h5")
    assert [layer.name for layer in imported.network.layers[1:]] == [
        name for name, _, _ in old_chain() if name not in ("reshape_1", "dropout", "act_softmax", "reshape_2")
    ] + ["reshape_2", "act_softmax"]
    assert imported.network.get_layer("conv_dw_1_relu").max_value == 6
