"""Lambda layers and pickles: refused without trust, and with it only what has an integer form."""

import pickle
from pathlib import Path
from typing import Any

import joblib
import keras
import pytest
import tf_keras

from mbexport.errors import DataError
from mbexport.models.keras_import.model import import_model

pytestmark = [
    pytest.mark.run,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LIBRARIES = {"tf_keras": tf_keras, "keras": keras}


def with_lambda(library: Any, function: Any, *, place: str = "front", shape: Any = (8, 8, 3)) -> Any:
    layers = library.layers
    image = x = layers.Input(shape)
    chosen = layers.Lambda(function, name="code", output_shape=shape if place == "front" else None)
    if place == "front":
        x = chosen(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    if place == "middle":
        x = chosen(x)
    return library.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def abs_of(x: Any) -> Any:
    """Of a function that has a name Keras 3 stores the name only, tf_keras the code."""
    return abs(x)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_lambda_that_scales_needs_trust_and_is_absorbed(
    tmp_path: Path, randomize: Any, agrees: Any, library: str, suffix: str
) -> None:
    model = randomize(with_lambda(LIBRARIES[library], lambda x: x / 127.5 - 1))
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    with pytest.raises(DataError, match=r"holds a Lambda layer \(code\), which runs code from the file .*pass --trust"):
        import_model(path)
    imported = agrees(model, path, trust=True)
    assert imported.input_scale == pytest.approx((1 / 127.5,) * len(imported.input_scale), rel=1e-4)
    assert imported.input_offset == pytest.approx((-1.0,) * len(imported.input_offset), rel=1e-4)


def test_a_lambda_may_scale_each_channel(tmp_path: Path, randomize: Any, agrees: Any) -> None:
    model = randomize(with_lambda(tf_keras, lambda x: (x - [1.0, 2.0, 3.0]) * [0.5, 0.25, 2.0]))
    model.save(tmp_path / "model.h5")
    imported = agrees(model, tmp_path / "model.h5", trust=True)
    assert imported.input_scale == pytest.approx((0.5, 0.25, 2))
    assert imported.input_offset == pytest.approx((-0.5, -0.5, -6))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_the_preparation_of_images_for_mobilenet_is_code_as_well(
    tmp_path: Path, randomize: Any, agrees: Any, suffix: str
) -> None:
    model = randomize(with_lambda(tf_keras, tf_keras.applications.mobilenet.preprocess_input))
    model.save(tmp_path / f"model.{suffix}")
    agrees(model, tmp_path / f"model.{suffix}", trust=True)


def test_the_identity_is_accepted_anywhere(tmp_path: Path, randomize: Any, agrees: Any) -> None:
    model = randomize(with_lambda(tf_keras, lambda x: x, place="middle"))
    model.save(tmp_path / "model.h5")
    agrees(model, tmp_path / "model.h5", trust=True)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: x * x, r"layer code \(Lambda\) must be a scaling of its input: anything else has no integer form"),
        (lambda x: x[..., ::-1], "has no integer form"),
        (abs_of, "has no integer form"),
        (lambda x: -abs(x), "has no integer form"),
        (lambda x: x + x[:, :1], "has no integer form"),
        (lambda x: x[:, :4], r"must keep the shape \(8, 8, 3\), got \(4, 8, 3\)"),
        (lambda x: x if x.shape[0] is None else x.missing, "cannot be run on images: .*missing"),
    ],
)
def test_a_lambda_that_is_no_scaling_is_refused(tmp_path: Path, function: Any, match: str) -> None:
    with_lambda(tf_keras, function).save(tmp_path / "model.h5")
    with pytest.raises(DataError, match=match):
        import_model(tmp_path / "model.h5", trust=True)


def test_a_function_that_the_file_only_names_cannot_be_loaded(tmp_path: Path) -> None:
    with_lambda(keras, abs_of).save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=r"layer code \(Lambda\) names the function abs_of, which the file does not"):
        import_model(tmp_path / "model.keras", trust=True)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dump", [joblib.dump, lambda model, path: path.write_bytes(pickle.dumps(model))])
def test_a_pickled_model_is_imported_with_trust(
    tmp_path: Path, randomize: Any, agrees: Any, library: str, dump: Any
) -> None:
    layers = LIBRARIES[library].layers
    chain = [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = randomize(LIBRARIES[library].Sequential(chain))
    dump(model, tmp_path / "model.pkl")
    agrees(model, tmp_path / "model.pkl", trust=True)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (pickle.dumps({"weights": [1, 2]}), "must hold a Keras model, got a dict"),
        (b"\x80\x04broken", "cannot be loaded"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(DataError, match=match):
        import_model(tmp_path / "model.pkl", trust=True)
