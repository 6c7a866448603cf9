"""Shapes of networks that others publish, each as a file that its own library wrote, against that library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from mbexport.models.keras_import.agreement import Source, require_agreement
from mbexport.models.keras_import.model import import_model

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
IMAGES = 8


def own_mobilenet(library: Any) -> Any:
    """keras.applications.MobileNet with its own head."""
    return library.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, classes=12)


def transfer_learning(library: Any) -> Any:
    """TensorFlow's tutorial on transfer learning: augmentation, rescaling, a frozen base, one dense layer."""
    layers = library.layers
    base = library.applications.MobileNet((64, 64, 3), alpha=0.25, weights=None, include_top=False)
    base.trainable = False
    augmentation = library.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
    image = layers.Input((64, 64, 3))
    x = base(layers.Rescaling(1 / 127.5, offset=-1)(augmentation(image)), training=False)
    return library.Model(image, layers.Dense(5)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))))


def visual_wake_words(library: Any) -> Any:
    """MLPerf Tiny: plain ReLU, pooling over the whole map, Flatten, two classes."""
    layers = library.layers
    x = image = layers.Input((96, 96, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", kernel_regularizer="l2")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (256, 2)):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.AveragePooling2D(pool_size=tuple(x.shape[1:3]))(x))
    return library.Model(image, layers.Dense(2, activation="softmax")(x))


def keyword_spotting(library: Any) -> Any:
    """MLPerf Tiny's DS-CNN, on a square grey picture."""
    layers = library.layers
    x = image = layers.Input((40, 40, 1))
    x = layers.Conv2D(16, (10, 4), strides=(2, 2), padding="same")(x)
    x = layers.Dropout(0.2)(layers.Activation("relu")(layers.BatchNormalization()(x)))
    for _ in range(4):
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(16, 1, padding="same")(x)))
    x = layers.Flatten()(layers.AveragePooling2D(pool_size=tuple(x.shape[1:3]))(layers.Dropout(0.4)(x)))
    return library.Model(image, layers.Dense(12, activation="softmax")(x))


def places_as_rows(library: Any) -> Any:
    """Edge Impulse: a base cut short, its places as rows, a dense layer on each, Flatten, softmax."""
    layers = library.layers
    base = library.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None, include_top=False)
    base = library.Model(base.input, base.get_layer("conv_pw_5_relu").output)
    size = base.output.shape[-1]
    return library.Sequential(
        [
            layers.Input((96, 96, 3)),
            base,
            layers.Reshape((-1, size)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def preprocessed_in_the_graph(library: Any) -> Any:
    """preprocess_input inside the model, as operators."""
    layers = library.layers
    image = layers.Input((64, 64, 3))
    base = library.applications.MobileNet((64, 64, 3), alpha=0.25, weights=None, include_top=False, pooling="avg")
    x = layers.Dense(16, activation="relu")(base(image / 127.5 - 1.0))
    return library.Model(image, layers.Dense(4, activation="softmax")(x))


def flattened(library: Any) -> Any:
    """Flatten and Dense on the map of a frozen base, as in Keras' blog."""
    layers = library.layers
    base = library.applications.MobileNet((64, 64, 3), alpha=0.25, weights=None, include_top=False)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(base.output))
    return library.Model(base.input, layers.Dense(7, activation="sigmoid")(layers.Dropout(0.5)(x)))


def separable(library: Any) -> Any:
    """Separable convolutions behind adapted statistics."""
    layers = library.layers
    x = image = layers.Input((48, 48, 3))
    x = layers.Normalization(mean=[123.7, 116.3, 103.5], variance=[3411.0, 3260.0, 3292.0])(x)
    for filters in (16, 32, 64):
        x = layers.SeparableConv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return library.Model(image, layers.Softmax()(layers.Reshape((6,))(x)))


def norm_behind_relu(library: Any) -> Any:
    """Batch normalization behind each ReLU, where no convolution before it can take it up."""
    layers = library.layers
    x = image = layers.Input((32, 32, 3))
    for filters in (8, 16):
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, strides=2, activation="relu")(x))
    return library.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def norm_of_the_image(library: Any) -> Any:
    """Batch normalization as the first layer."""
    layers = library.layers
    x = image = layers.Input((32, 32, 1))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(layers.BatchNormalization()(x)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))))
    return library.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


SHAPES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "keras.applications.MobileNet": (own_mobilenet, "tf_keras.h5"),
    "the same, Keras 3": (own_mobilenet, "keras.keras"),
    "transfer learning": (transfer_learning, "keras.keras"),
    "MLPerf Tiny, visual wake words": (visual_wake_words, "tf_keras.h5"),
    "MLPerf Tiny, keyword spotting": (keyword_spotting, "tf_keras.saved_model"),
    "places as rows": (places_as_rows, "tf_keras.h5"),
    "preprocess_input in the graph": (preprocessed_in_the_graph, "tf_keras.keras"),
    "Flatten and Dense": (flattened, "keras.h5"),
    "separable, normalized": (separable, "keras.saved_model"),
    "normalization behind ReLU": (norm_behind_relu, "tf_keras.keras"),
    "normalization of the image": (norm_of_the_image, "keras.keras"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_import_answers_as_plain_keras(
    tmp_path: Path, randomize: Any, record_property: Callable[[str, object], None], name: str
) -> None:
    make, form = SHAPES[name]
    library, ending = form.split(".")
    model = randomize(make({"keras": keras, "tf_keras": tf_keras}[library]))
    path = tmp_path / f"model.{ending}"
    if ending != "saved_model":
        model.save(path)
    elif library == "tf_keras":
        model.save(path, save_format="tf")
    else:
        model.export(path, verbose=False)
    imported = import_model(path)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, *model.input_shape[1:])).astype(np.float32)
    if abs(imported.input_scale[0]) >= 0.1:
        images = images / np.float32(127.5) - 1
    inputs = images * np.float32(imported.input_scale) + np.float32(imported.input_offset)
    expected = np.asarray(model(images, training=False))
    found = np.asarray(imported.network(inputs, training=False))
    assert np.ptp(found, axis=0).max() > 1e-4
    distance = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    record_property("distance", distance)
    assert distance < 1e-5
    agreed = require_agreement(Source(path=path), imported.network, images, inputs, output=imported.output)
    assert agreed.difference < 1e-5
