"""Graphs that others train, each as a file that its own library wrote, against that library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from mbexport.models.keras_import.agreement import Source, first_difference, require_agreement
from mbexport.models.keras_import.model import Imported, import_model

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
LIBRARIES = {"tf_keras": tf_keras, "keras": keras}
IMAGES, PX = 5, 32


def nested_backbone(library: Any) -> Any:
    """Keras' guide to transfer learning: a backbone as one layer of a Sequential."""
    layers = library.layers
    base = library.applications.MobileNetV2((PX, PX, 3), alpha=0.35, weights=None, include_top=False)
    head = [layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(4, activation="softmax")]
    return library.Sequential([layers.Input((PX, PX, 3)), layers.Rescaling(1 / 127.5, offset=-1), base, *head])


def mobilenet_v3(library: Any) -> Any:
    """keras.applications.MobileNetV3Small, whose activations are arithmetic."""
    return library.applications.MobileNetV3Small((PX, PX, 3), weights=None, classes=4)


def teachable_machine(library: Any) -> Any:
    """Google's Teachable Machine: a Sequential of two, the first of which holds a MobileNetV2."""
    layers = library.layers
    base = library.applications.MobileNetV2((PX, PX, 3), alpha=0.35, weights=None, include_top=False)
    body = library.Sequential([base, layers.GlobalAveragePooling2D()])
    head = [layers.Dense(100, activation="relu"), layers.Dense(3, activation="softmax", use_bias=False)]
    model = library.Sequential([body, library.Sequential(head)])
    model.build((None, PX, PX, 3))
    return model


def one_sigmoid(library: Any) -> Any:
    """Cats or dogs: augmentation, preprocess_input in the graph, a backbone with slashes in its names, one score."""
    layers = library.layers
    inner = layers.Input((PX, PX, 3))
    x = layers.Conv2D(4, 3, strides=2, name="Conv")(inner)
    x = layers.Conv2D(4, 1, name="block/squeeze/Conv")(layers.BatchNormalization(name="Conv/BatchNorm")(x))
    base = library.Model(inner, layers.ReLU()(layers.Conv2D(6, 3, name="block/Conv")(x)))
    image = layers.Input((PX, PX, 3))
    x = library.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])(image)
    x = base(library.applications.mobilenet_v2.preprocess_input(x), training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return library.Model(image, layers.Dense(1, activation="sigmoid")(x))


def block(layers: Any, x: Any, filters: int) -> Any:
    """An inverted residual with squeeze-and-excite."""
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(2 * filters, 1, use_bias=False)(x)))
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(2 * filters, 1, activation="hard_sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    y = layers.BatchNormalization()(layers.Conv2D(filters, 1)(layers.Multiply()([y, gate])))
    return layers.Add()([x, y])


def keepdims_and_reshape(library: Any) -> Any:
    """A residual net whose head is a pooling that keeps its axes, a convolution and Reshape."""
    layers = library.layers
    image = layers.Input((PX, PX, 3))
    x = block(layers, layers.Conv2D(6, 3, strides=2, padding="same")(image), 6)
    x = layers.Conv2D(5, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return library.Model(image, layers.Softmax()(layers.Reshape((5,))(x)))


def normalized_before(library: Any) -> Any:
    """BatchNormalization before convolutions, behind ReLU and behind a sum; SeparableConv2D, ZeroPadding2D anywhere."""
    layers = library.layers
    image = layers.Input((PX, PX, 3))
    x = layers.SeparableConv2D(6, 3, strides=2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(image))
    x = layers.BatchNormalization(scale=False)(layers.ReLU()(x))
    y = layers.SeparableConv2D(6, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.ZeroPadding2D(1)(layers.BatchNormalization(center=False)(layers.Add()([x, y])))
    x = layers.MaxPooling2D()(layers.BatchNormalization()(layers.SeparableConv2D(8, 3, activation="relu")(x)))
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    return library.Model(image, layers.Dense(4)(x))


def multiplied(library: Any) -> Any:
    """depth_multiplier 2, LeakyReLU, branches side by side, poolings of parts of the map, Flatten."""
    layers = library.layers
    image = layers.Input((PX, PX, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    one = layers.AveragePooling2D(3, strides=2, padding="same")(x)
    two = layers.MaxPooling2D(3, strides=2, padding="same")(layers.Rescaling(-0.5, offset=0.1)(x))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Concatenate()([one, two]))
    return library.Model(image, layers.Dense(3, activation="sigmoid")(layers.Flatten()(x)))


def several_dense(library: Any) -> Any:
    """Dense layers with activations of their own, an Activation layer alone, two means side by side."""
    layers = library.layers
    image = layers.Input((PX, PX, 3))
    x = layers.Activation("relu")(layers.Conv2D(6, 3, strides=2)(image))
    y = layers.Conv2D(5, 3, activation="relu")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(y)])
    x = layers.Dense(8, activation="relu6")(layers.Dense(9, activation="relu")(x))
    return library.Model(image, layers.Activation("softmax")(layers.Dense(4)(layers.Dropout(0.3)(x))))


SHAPES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nested MobileNetV2": (nested_backbone, "tf_keras.h5"),
    "nested MobileNetV2, Keras 3": (nested_backbone, "keras.keras"),
    "MobileNetV3Small": (mobilenet_v3, "keras.keras"),
    "Teachable Machine": (teachable_machine, "tf_keras.h5"),
    "one sigmoid": (one_sigmoid, "tf_keras.h5"),
    "keepdims and Reshape": (keepdims_and_reshape, "keras.h5"),
    "keepdims and Reshape, Keras 2": (keepdims_and_reshape, "tf_keras.keras"),
    "keepdims and Reshape, as a graph": (keepdims_and_reshape, "keras.saved_model"),
    "normalized before": (normalized_before, "tf_keras.keras"),
    "normalized before, as a graph": (normalized_before, "tf_keras.saved_model"),
    "depth_multiplier": (multiplied, "keras.keras"),
    "depth_multiplier, as a graph": (multiplied, "tf_keras.saved_model"),
    "several Dense": (several_dense, "tf_keras.h5"),
    "several Dense, as a graph": (several_dense, "keras.saved_model"),
}


def compare(path: Path, model: Any) -> Imported:
    """The import, once it answers as `model` does on random images, layer for layer."""
    imported = import_model(path)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, PX, PX, 3)).astype(np.float32)
    if abs(imported.input_scale[0]) >= 0.1:
        images = images / np.float32(127.5) - 1
    inputs = images * np.float32(imported.input_scale) + np.float32(imported.input_offset)
    expected = np.asarray(model(images, training=False), np.float32)
    found = np.asarray(imported.network(inputs, training=False))
    if imported.is_one_score:
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
        found = found[:, 1:]
    assert np.ptp(found, axis=0).max() > 1e-4
    assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    source = Source(path=path)
    assert require_agreement(source, imported.network, images, inputs, output=imported.output).difference < 1e-4
    assert first_difference(source, source.original(), images) is None
    return imported


@pytest.mark.parametrize("name", SHAPES)
def test_the_import_answers_as_plain_keras(tmp_path: Path, randomize: Any, name: str) -> None:
    make, form = SHAPES[name]
    library, ending = form.split(".")
    model = randomize(make(LIBRARIES[library]))
    path = tmp_path / f"model.{ending}"
    if ending != "saved_model":
        model.save(path)
    elif library == "tf_keras":
        model.export(path)
    else:
        model.export(path, verbose=False)
    imported = compare(path, model)
    kinds = [type(layer).__name__ for layer in imported.network.layers]
    if make is mobilenet_v3:  # as many as its paper has, and none left as arithmetic
        assert (kinds.count("HardSwish"), kinds.count("HardSigmoid"), kinds.count("Multiply")) == (19, 9, 9)
    assert imported.is_one_score == (make is one_sigmoid)


@pytest.mark.parametrize("library", LIBRARIES)
def test_half_precision_is_computed_in_float32(tmp_path: Path, randomize: Any, library: str) -> None:
    """A model of mixed_float16 answers as its twin of float32 does."""
    chosen = LIBRARIES[library]
    chosen.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = randomize(keepdims_and_reshape(chosen))
        model.save(tmp_path / "model.keras")
    finally:
        chosen.mixed_precision.set_global_policy("float32")
    twin = keepdims_and_reshape(chosen)
    twin.set_weights(model.get_weights())
    compare(tmp_path / "model.keras", twin)
