"""A layer is accepted or refused alike in every form of file, and answers as plain Keras does. One table of both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from mbexport.errors import DataError
from mbexport.models.keras_import.model import import_model

pytestmark = [
    pytest.mark.run,
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::RuntimeWarning"),
]
PX = 6
FORMS = ("tf_keras.h5", "tf_keras.keras", "tf_keras.saved_model", "keras.keras", "keras.saved_model")
Layers = Callable[[Any, Any], Any]  # from (layers of the library, a map of 6 x 6 x 4) to what follows


@dataclass(frozen=True, kw_only=True)
class Row:
    """What stands between a first convolution and a mean of the map with a dense layer behind it.

    With `is_first` it stands before that convolution instead, with `is_last` it is the end of the network.
    """

    layers: Layers
    is_accepted: bool = True
    is_first: bool = False
    is_last: bool = False


def pooled(**settings: Any) -> Layers:
    return lambda layers, x: layers.GlobalAveragePooling2D(keepdims=True)(layers.AveragePooling2D(**settings)(x))


def norm(**settings: Any) -> Layers:
    return lambda layers, x: layers.BatchNormalization(**settings)(x)


def conv(*arguments: Any, **settings: Any) -> Layers:
    return lambda layers, x: layers.Conv2D(*arguments, **settings)(x)


def depthwise(*arguments: Any, **settings: Any) -> Layers:
    return lambda layers, x: layers.DepthwiseConv2D(*arguments, **settings)(x)


def separable(*arguments: Any, **settings: Any) -> Layers:
    return lambda layers, x: layers.SeparableConv2D(*arguments, **settings)(x)


def activation(name: str) -> Layers:
    return lambda layers, x: layers.Activation(name)(x)


def relu(**settings: Any) -> Layers:
    return lambda layers, x: layers.ReLU(**settings)(x)


def chain(*each: Callable[[Any], Any]) -> Layers:
    def follow(layers: Any, x: Any) -> Any:
        for layer in each:
            x = layer(layers)(x)
        return x

    return follow


def flat(layers: Any) -> Any:
    return layers.Flatten()


def dense(units: int, **settings: Any) -> Callable[[Any], Any]:
    return lambda layers: layers.Dense(units, **settings)


def clipped(layers: Any) -> Any:
    return layers.ReLU()


def normalized(layers: Any) -> Any:
    return layers.BatchNormalization()


def shaped(*target: int) -> Callable[[Any], Any]:
    return lambda layers: layers.Reshape(target)


def mean(**settings: Any) -> Callable[[Any], Any]:
    return lambda layers: layers.GlobalAveragePooling2D(**settings)


def refused(layers: Layers, **settings: Any) -> Row:
    return Row(layers=layers, is_accepted=False, **settings)


ROWS = {
    "mean of the whole map": Row(layers=pooled(pool_size=PX)),
    "mean of the whole map, stride 1": Row(layers=pooled(pool_size=PX, strides=1)),
    "mean of the whole map, same, stride of the map": Row(layers=pooled(pool_size=PX, padding="same")),
    "mean, same, windows beyond the map": Row(layers=pooled(pool_size=PX + 2, strides=PX + 1, padding="same")),
    "mean of the whole map, same, stride 1": Row(layers=pooled(pool_size=PX, strides=1, padding="same")),
    "mean, same, stride below the map": Row(layers=pooled(pool_size=PX, strides=PX - 1, padding="same")),
    "mean of a part, one window": Row(layers=pooled(pool_size=PX - 1, strides=PX)),
    "mean of parts": Row(layers=pooled(pool_size=2)),
    "mean of rows": Row(layers=pooled(pool_size=(PX, 1))),
    "maximum": Row(layers=lambda layers, x: layers.MaxPooling2D()(x)),
    "maximum of the map": Row(layers=chain(lambda layers: layers.GlobalMaxPooling2D(), dense(3)), is_last=True),
    "mean without axes": Row(layers=chain(mean(), dense(3)), is_last=True),
    "mean of what is one place": Row(layers=chain(mean(keepdims=True), mean(), dense(3)), is_last=True),
    "vector as one place, its mean": Row(layers=chain(shaped(1, 1, -1), mean(), dense(3)), is_last=True),
    "vector as one place, windows": Row(
        layers=chain(shaped(1, 1, -1), lambda layers: layers.AveragePooling2D(1), flat, dense(3)), is_last=True
    ),
    "vector as one place, padded": refused(
        chain(shaped(1, 1, -1), lambda layers: layers.ZeroPadding2D(1), mean(), dense(3)), is_last=True
    ),
    "vector as one place, depthwise": refused(
        chain(shaped(1, 1, -1), lambda layers: layers.DepthwiseConv2D(1), flat, dense(3)), is_last=True
    ),
    "vector as one place, convolved": Row(
        layers=chain(shaped(1, 1, -1), lambda layers: layers.Conv2D(5, 1), mean(), dense(3)), is_last=True
    ),
    "vector": Row(layers=chain(flat, dense(3)), is_last=True),
    "vector, reshaped with -1": Row(layers=chain(shaped(-1), dense(3)), is_last=True),
    "vector, normalized": Row(layers=chain(flat, normalized, dense(3)), is_last=True),
    "vector, normalized, a map again": refused(
        chain(flat, normalized, shaped(PX, PX, 4), lambda layers: layers.Conv2D(3, 3))
    ),
    "vector, normalized, a mean again": refused(
        chain(flat, normalized, shaped(PX, PX, 4), mean(), dense(3)), is_last=True
    ),
    "rows": refused(chain(shaped(PX, PX * 4), flat, dense(3)), is_last=True),
    "other map": refused(chain(shaped(PX // 2, PX * 2, 4), lambda layers: layers.Conv2D(3, 3))),
    "places": Row(layers=chain(shaped(-1, 4), dense(3, activation="relu"), flat, dense(3)), is_last=True),
    "places, normalized": Row(layers=chain(shaped(PX * PX, 4), normalized, flat, dense(3)), is_last=True),
    "places, of another width": refused(chain(shaped(PX * PX * 2, 2), flat, dense(3)), is_last=True),
    "dense of a map": Row(layers=chain(dense(5, activation="relu"), dense(3, use_bias=False))),
    "turned": refused(chain(lambda layers: layers.Permute((2, 1, 3)), lambda layers: layers.Conv2D(3, 3))),
    "convolution, dilated": refused(conv(4, 3, dilation_rate=2)),
    "convolution, in groups": refused(conv(4, 3, groups=2)),
    "convolution, channels first": refused(conv(4, 3, data_format="channels_first", padding="same")),
    "convolution, oblong": Row(layers=conv(4, (3, 2), strides=(2, 1), padding="same")),
    "convolution, no bias": Row(layers=conv(4, 3, strides=2, padding="same", use_bias=False, activation="relu6")),
    "convolution, swish": refused(conv(4, 3, activation="swish")),
    "transposed": refused(lambda layers, x: layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)(x)),
    "depthwise, same": Row(layers=depthwise(3, strides=2, padding="same", activation="relu")),
    "depthwise, multiplied": Row(layers=depthwise(3, depth_multiplier=2)),
    "depthwise, dilated": refused(depthwise(3, dilation_rate=2)),
    "separable": Row(layers=separable(5, 3, strides=2, padding="same", activation="relu")),
    "separable, multiplied": Row(layers=separable(5, 3, depth_multiplier=2)),
    "padded": Row(layers=lambda layers, x: layers.ZeroPadding2D(((0, 1), (2, 0)))(x)),
    "cropped": refused(lambda layers, x: layers.Cropping2D(1)(x)),
    "larger": refused(lambda layers, x: layers.UpSampling2D(2, interpolation="bilinear")(x)),
    "relu": Row(layers=relu()),
    "relu, cut": Row(layers=relu(max_value=0.5)),
    "relu, sloped": Row(layers=relu(negative_slope=0.1)),
    "relu, from a threshold": refused(relu(threshold=0.5)),
    "leaky": Row(layers=lambda layers, x: layers.LeakyReLU()(x)),
    "linear": Row(layers=activation("linear")),
    "tanh": refused(activation("tanh")),
    "norm": Row(layers=norm()),
    "norm, epsilon": Row(layers=norm(epsilon=0.3)),
    "norm, no scale": Row(layers=norm(scale=False)),
    "norm, no center": Row(layers=norm(center=False)),
    "norm of rows": refused(norm(axis=1)),
    "norm behind a relu": Row(layers=chain(clipped, normalized)),
    "norm behind a relu, before a padding": Row(
        layers=chain(clipped, normalized, lambda layers: layers.ZeroPadding2D(1))
    ),
    "norm behind a relu, before a relu": Row(layers=chain(clipped, normalized, clipped)),
    "layer norm": refused(lambda layers, x: layers.LayerNormalization()(x)),
    "rescaling inside": Row(layers=lambda layers, x: layers.Rescaling(0.5, offset=0.25)(x)),
    "noise of training": Row(
        layers=chain(lambda layers: layers.Dropout(0.5), lambda layers: layers.GaussianNoise(1.0))
    ),
    "softmax": Row(layers=chain(mean(), dense(3), lambda layers: layers.Softmax()), is_last=True),
    "softmax, axis 1": Row(layers=chain(mean(), dense(3), lambda layers: layers.Softmax(axis=1)), is_last=True),
    "softmax of one axis of a map": refused(
        chain(mean(keepdims=True), dense(3), lambda layers: layers.Softmax(axis=1), flat), is_last=True
    ),
    "sigmoid": Row(layers=chain(mean(), dense(3, activation="sigmoid")), is_last=True),
    "softmax inside": refused(activation("softmax")),
    "rescaling": Row(layers=lambda layers, x: layers.Rescaling(2.0, offset=-1.0)(x), is_first=True),
    "rescaling by channels": Row(
        layers=lambda layers, x: layers.Rescaling([1.0, 2.0, 3.0], offset=[0.1, 0.2, 0.3])(x), is_first=True
    ),
    "normalization": Row(
        layers=lambda layers, x: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0])(x), is_first=True
    ),
    "normalization, adapted": Row(layers=lambda layers, x: layers.Normalization()(x), is_first=True),
    "normalization, one for all": Row(
        layers=lambda layers, x: layers.Normalization(axis=None, mean=0.5, variance=0.2)(x), is_first=True
    ),
    "normalization, backwards": Row(
        layers=lambda layers, x: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 1.0, 2.0], invert=True)(x),
        is_first=True,
    ),
    "normalization of rows": refused(
        lambda layers, x: layers.Normalization(axis=1, mean=[0.1] * PX, variance=[0.5] * PX)(x), is_first=True
    ),
    "norm of the image": Row(layers=norm(), is_first=True),
    "arithmetic": Row(layers=lambda layers, x: (x / 0.5 - 1.0) * 2.0 + 0.25, is_first=True),
    "arithmetic from the right": Row(layers=lambda layers, x: 0.5 - 2.0 * x, is_first=True),
    "divided by the image": refused(lambda layers, x: 1.0 / (x + 3.0), is_first=True),
    "squared": refused(lambda layers, x: x * x, is_first=True),
    "resized": refused(lambda layers, x: layers.Resizing(4, 4)(x), is_first=True),
    "mirrored in training": Row(layers=lambda layers, x: layers.Identity()(x), is_first=True),
}  # fmt: skip


def network_of(library: Any, row: Row) -> Any:
    layers = library.layers
    x = image = layers.Input((PX, PX, 3))
    if row.is_first:
        x = row.layers(layers, x)
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    if not row.is_first:
        x = row.layers(layers, x)
    if not row.is_last:
        x = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(4, 1)(x)))
    return library.Model(image, x)


def written(model: Any, form: str, folder: Path) -> Path:
    library, ending = form.split(".")
    path = folder / f"{library}_model.{ending}"
    if ending != "saved_model":
        model.save(path)
    elif library == "tf_keras":
        model.export(path)  # ten times as fast as save(), which test_saved_model has
    else:
        model.export(path, verbose=False)
    return path


def refusal(model: Any, path: Path) -> str | None:
    """Why the file is not imported; if it is, it must answer as plain Keras does."""
    try:
        imported = import_model(path)
    except DataError as error:
        return str(error)
    images = np.random.default_rng(1).uniform(-1, 1, (5, PX, PX, 3)).astype(np.float32)
    scale, offset = (np.array(value, np.float32) for value in (imported.input_scale, imported.input_offset))
    expected = np.asarray(model(images, training=False)).reshape(5, -1)
    found = np.asarray(imported.network(images * scale + offset, training=False))
    assert np.ptp(found, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return None


@pytest.mark.parametrize("name", ROWS)
def test_a_layer_is_read_alike_in_every_form(tmp_path: Path, randomize: Any, name: str) -> None:
    row, reasons = ROWS[name], {}
    models = {each.__name__: randomize(network_of(each, row)) for each in (tf_keras, keras)}
    for layer in (layer for model in models.values() for layer in model.layers if hasattr(layer, "finalize_state")):
        layer.finalize_state()  # as adapt() and loading do
    for form in FORMS:
        model = models[form.split(".")[0]]
        try:
            path = written(model, form, tmp_path)
        except (ValueError, NotImplementedError, tf.errors.OpError):
            continue  # a form that this library does not write for such a layer
        reasons[form] = refusal(model, path)
    assert {form: reason is None for form, reason in reasons.items()} == dict.fromkeys(reasons, row.is_accepted), (
        reasons
    )
    assert len(reasons) >= 3
    for reason in filter(None, reasons.values()):
        assert "\n" not in reason
        assert "cannot be read" not in reason  # refused for what it is, not for what a reader tripped over
