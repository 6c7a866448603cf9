"""Chains that this tool did not build give the same answers after import, from every file form of either Keras."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tf_keras

from mbexport.models.resolution import Resolution

pytestmark = [
    pytest.mark.run,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # tf_keras calls .h5 legacy
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LIBRARIES = {"tf_keras": tf_keras, "keras": keras}
# A whole MobileNet takes seconds: the oldest form and the newest one stand for the others in `make test`.
IN_EACH_FORM = [
    ("tf_keras", "h5"),
    ("keras", "keras"),
    *(pytest.param(*form, marks=pytest.mark.run) for form in (("tf_keras", "keras"), ("keras", "h5"))),
]
CANONICAL = (
    "ZeroPadding2D", "Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "GlobalAveragePooling2D", "Reshape",
    "Softmax", "Activation",
)  # fmt: skip


def plain_relu(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.ReLU(),
        layers.Conv2D(5, 1, use_bias=False),
        layers.BatchNormalization(center=False, epsilon=0.1),
        layers.Activation("relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def padded(layers: Any) -> list[Any]:
    return [
        layers.ZeroPadding2D(((0, 1), (0, 1))),
        layers.Conv2D(6, 3, strides=2),
        layers.ReLU(6),
        layers.ZeroPadding2D(1),
        layers.DepthwiseConv2D(3, activation="relu6"),
        layers.ZeroPadding2D((2, 0)),
        layers.Activation("relu6"),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(3, 1, activation="sigmoid"),
        layers.Flatten(),
    ]


def separable(layers: Any) -> list[Any]:
    return [
        layers.SeparableConv2D(6, 3, strides=2, padding="same", activation="relu"),
        layers.SeparableConv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.BatchNormalization(),
        layers.AveragePooling2D(5),
        layers.Reshape((4,)),
        layers.Dense(3),
    ]


def deep_head(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(6, 3, strides=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.BatchNormalization(),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.Dense(7, activation="relu"),
        layers.Dense(3),
        layers.Softmax(),
    ]


def flattened(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(3, 5, strides=3, activation="relu"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dense(4),
        layers.Activation("linear"),
        layers.Activation("softmax"),
    ]


def reshaped(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(3, 5, strides=3),
        layers.Reshape((4, 4, 3)),
        layers.Reshape((1, 1, -1)),
        layers.Conv2D(4, 1),
        layers.Reshape((4,)),
        layers.Activation("sigmoid"),
    ]


def for_training(layers: Any) -> list[Any]:
    return [
        layers.RandomFlip(),
        layers.RandomRotation(0.2),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.2),
        layers.GaussianNoise(0.5),
        layers.Conv2D(6, 3, activity_regularizer="l2"),
        layers.SpatialDropout2D(0.2),
        layers.GaussianDropout(0.2),
        layers.BatchNormalization(),
        layers.ActivityRegularization(0.1),
        layers.Dense(5, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]


def pooled_at_the_end(layers: Any) -> list[Any]:
    return [layers.Conv2D(4, 3, strides=2), layers.GlobalAveragePooling2D(), layers.Softmax()]


CHAINS: tuple[Callable[[Any], list[Any]], ...] = (
    plain_relu, padded, separable, deep_head, flattened, reshaped, for_training, pooled_at_the_end,
)  # fmt: skip


def functional(library: Any, chain: list[Any], *, shape: tuple[Any, ...] = (14, 14, 3)) -> Any:
    x = image = library.layers.Input(shape)
    for layer in chain:
        x = layer(x)
    return library.Model(image, x)


def sequential(library: Any, chain: list[Any], *, shape: tuple[Any, ...] = (14, 14, 3)) -> Any:
    return library.Sequential([library.layers.Input(shape), *chain])


@pytest.mark.parametrize(
    "form",
    [
        ("tf_keras", "h5", functional),
        ("tf_keras", "keras", sequential),
        ("keras", "h5", sequential),
        ("keras", "keras", functional),
    ],
    ids=lambda form: "-".join([*form[:2], form[2].__name__]),
)
@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_gives_the_same_answers(
    tmp_path: Path, randomize: Any, agrees: Any, chain: Any, form: tuple[str, str, Any]
) -> None:
    library, suffix, build = form
    model = randomize(build(LIBRARIES[library], chain(LIBRARIES[library].layers)))
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    imported = agrees(model, path)
    kinds = [type(layer).__name__ for layer in imported.network.layers[1:]]
    assert set(kinds) <= set(CANONICAL)
    for before, kind in zip(["", *kinds], kinds, strict=False):
        assert kind != "BatchNormalization" or before in ("Conv2D", "DepthwiseConv2D")


@pytest.mark.parametrize(("library", "suffix"), IN_EACH_FORM)
def test_keras_own_mobilenet_keeps_the_names_of_its_layers(
    tmp_path: Path, randomize: Any, agrees: Any, library: str, suffix: str
) -> None:
    mobilenet = LIBRARIES[library].applications.MobileNet
    model = randomize(mobilenet((32, 32, 3), alpha=0.1, weights=None, classes=5))
    model.save(tmp_path / f"model.{suffix}")
    imported = agrees(model, tmp_path / f"model.{suffix}")
    kept = [layer.name for layer in model.layers[1:] if layer.name != "dropout"]
    assert [layer.name for layer in imported.network.layers[1:]] == kept
    assert (imported.output, imported.input_scale, imported.input_offset) == ("softmax", (1.0,), (0.0,))


@pytest.mark.parametrize(("library", "suffix"), IN_EACH_FORM)
def test_a_frozen_base_under_an_own_head_is_flattened(
    tmp_path: Path, randomize: Any, agrees: Any, library: str, suffix: str
) -> None:
    layers = LIBRARIES[library].layers
    base = LIBRARIES[library].applications.MobileNet((32, 32, 3), alpha=0.1, weights=None, include_top=False)
    base.trainable = False
    augment = LIBRARIES[library].Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
    head = LIBRARIES[library].Sequential([layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")])
    scale = layers.Rescaling(1 / 127.5, offset=-1)
    chain = [augment, scale, lambda x: base(x, training=False), layers.GlobalAveragePooling2D(), head]
    model = randomize(functional(LIBRARIES[library], chain, shape=(32, 32, 3)))
    model.save(tmp_path / f"model.{suffix}")
    imported = agrees(model, tmp_path / f"model.{suffix}")
    assert imported.input_scale == pytest.approx((1 / 127.5,))
    assert imported.input_offset == (-1.0,)
    assert imported.network.get_layer("conv_pw_13_relu").output_shape == (None, 1, 1, 102)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_open_input_takes_the_given_resolution(tmp_path: Path, randomize: Any, agrees: Any, library: str) -> None:
    layers = LIBRARIES[library].layers
    chain = [layers.Conv2D(4, 3), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = randomize(functional(LIBRARIES[library], chain, shape=(None, None, 1)))
    model.save(tmp_path / "model.keras")
    imported = agrees(model, tmp_path / "model.keras", resolution=Resolution.square(20))
    assert imported.network.input_shape == (None, 20, 20, 1)
    assert imported.network.input_names == ["image"]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_half_precision_is_read_as_float32(
    tmp_path: Path, randomize: Any, agrees: Any, library: str, suffix: str
) -> None:
    layers = LIBRARIES[library].layers
    policy = "mixed_float16"
    chain = [
        layers.Conv2D(4, 3, dtype=policy),
        layers.BatchNormalization(dtype=policy),
        layers.GlobalAveragePooling2D(dtype=policy),
        layers.Dense(3, dtype=policy),
        layers.Activation("softmax", dtype="float32"),
    ]
    model = randomize(functional(LIBRARIES[library], chain))
    model.save(tmp_path / f"model.{suffix}")
    twin = functional(tf_keras, [
        tf_keras.layers.Conv2D(4, 3),
        tf_keras.layers.BatchNormalization(),
        tf_keras.layers.GlobalAveragePooling2D(),
        tf_keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    twin.set_weights(model.get_weights())
    agrees(twin, tmp_path / f"model.{suffix}")
