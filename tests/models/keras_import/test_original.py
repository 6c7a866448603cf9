"""A user's model run by its own library, whatever the form of the file, and without any code that the file names."""

import json
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError, StageError
from mbexport.models.facts import Output
from mbexport.models.keras_import import agreement, canonical_layers, layers
from mbexport.models.keras_import.agreement import TOLERANCE, Source, require_agreement
from mbexport.models.keras_import.model import import_model
from mbexport.models.keras_import.plain_config import Rewrite
from mbexport.models.keras_import.steps import Clip

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]
LIBRARIES = {"tf_keras": tf_keras, "keras": keras}
FORMS = ("tf_keras.h5", "tf_keras.keras", "tf_keras.saved_model", "keras.h5", "keras.keras", "keras.saved_model")
PX = 8


def model_of(library: Any, *, ending: str = "softmax") -> Any:
    """Nested models, augmentation, arithmetic and a layer of its own as activation: all that a file may hold."""
    layers = library.layers
    base = library.Sequential(
        [
            layers.Input((PX, PX, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", name="stem"),
            layers.BatchNormalization(),
            layers.ReLU(6),
        ],
        name="base",
    )
    image = layers.Input((PX, PX, 3))
    x = layers.RandomFlip()(image)
    x = base(x / 127.5 - 1.0)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", depthwise_regularizer="l2", name="middle")(x)
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.3)(x))
    return library.Model(image, layers.Dense(3, activation=ending, name="head")(x))


def stored(model: Any, form: str, folder: Path) -> Path:
    library, ending = form.split(".")
    path = folder / f"{library}.{ending}"
    if ending != "saved_model":
        model.save(path)
    elif library == "tf_keras":
        model.save(path, save_format="tf")
    else:
        model = keras.Model(model.input, model.output)
        path = folder / "keras.keras"  # its augmentation would be exported with it
        model.save(path)
    return path


def noise(count: int = 5) -> Any:
    return np.random.default_rng(3).uniform(0, 255, (count, PX, PX, 3)).astype(np.float32)


@pytest.mark.parametrize("ending", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize("form", FORMS)
def test_it_answers_what_the_library_does(tmp_path: Path, randomize: Any, form: str, ending: str) -> None:
    name = form.split(".", maxsplit=1)[0]
    model = randomize(model_of(LIBRARIES[name], ending=ending))
    path, images = stored(model, form, tmp_path), noise()
    expected = np.asarray(model(images, training=False))
    original = Source(path=path).original()
    np.testing.assert_allclose(original(images), expected, rtol=1e-5, atol=1e-6)
    assert original.library.split()[0] in (name, "tensorflow")
    logits = Source(path=path).original(logits=True)(images)
    again = {"softmax": tf_keras.activations.softmax, "sigmoid": tf_keras.activations.sigmoid}.get(ending, np.asarray)
    np.testing.assert_allclose(np.asarray(again(tf_keras.backend.constant(logits))), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(logits, expected) or ending == "linear"


@pytest.mark.parametrize("form", ["tf_keras.h5", "keras.keras", "tf_keras.saved_model"])
def test_one_score_is_read_as_two_classes(tmp_path: Path, randomize: Any, form: str) -> None:
    """As the import has them: 1 - s and s for a sigmoid s, and 0 and z for its logit z."""
    library = LIBRARIES[form.split(".", maxsplit=1)[0]]
    layers = library.layers
    image = layers.Input((PX, PX, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
    model = randomize(library.Model(image, layers.Dense(1, activation="sigmoid", name="head")(x)))
    path, images = stored(model, form, tmp_path), noise()
    s = np.asarray(model(images, training=False))
    np.testing.assert_allclose(Source(path=path).original()(images), np.hstack([1 - s, s]), atol=1e-6)
    z = np.log(s / (1 - s))
    np.testing.assert_allclose(Source(path=path).original(logits=True)(images), np.hstack([0 * z, z]), atol=1e-5)
    found = import_model(path)
    inputs = images * np.float32(found.input_scale) + np.float32(found.input_offset)
    assert (found.output, found.is_one_score, found.network.output_shape) == (Output.SOFTMAX, True, (None, 2))
    np.testing.assert_allclose(np.asarray(found.network(inputs)), np.hstack([1 - s, s]), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_an_import_that_differs_names_the_first_layer(
    tmp_path: Path, randomize: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    model = randomize(model_of(LIBRARIES[form.split(".", maxsplit=1)[0]]))
    path, images = stored(model, form, tmp_path), noise()

    def check() -> Any:
        found = import_model(path)
        inputs = images * np.float32(found.input_scale) + np.float32(found.input_offset)
        return require_agreement(Source(path=path), found.network, images, inputs, output=found.output)

    agreed = check()
    assert (agreed.images, agreed.difference < 1e-6) == (5, True)

    def cut_off(step: Any, *, name: str) -> Any:  # as if every ReLU were one that ends at 0.1
        return built(Clip(name=step.name, ceiling=0.1) if isinstance(step, Clip) else step, name=name)

    built = canonical_layers.layer_of
    monkeypatch.setattr(canonical_layers, "layer_of", cut_off)
    with pytest.raises(StageError, match=r"model that .* computes: on 5 images .* at first behind .*\((ReLU|Relu6)\)"):
        check()


def test_the_first_layer_is_the_one_that_differs(
    tmp_path: Path, randomize: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomize(model_of(tf_keras))
    path, images = stored(model, "tf_keras.h5", tmp_path), noise()
    plain = layers.CONVERTERS["DepthwiseConv2D"]
    wrong = {**layers.CONVERTERS, "DepthwiseConv2D": lambda call, weights: plain(call, [weights[0] * 1.01, weights[1]])}
    monkeypatch.setattr(layers, "CONVERTERS", wrong)
    found = import_model(path)
    inputs = images * np.float32(found.input_scale) + np.float32(found.input_offset)
    with pytest.raises(StageError, match=r"at first behind layer middle \(DepthwiseConv2D\)"):
        require_agreement(Source(path=path), found.network, images, inputs, output=found.output)


def test_scores_in_the_hundreds_may_differ_in_their_last_digits(
    tmp_path: Path, randomize: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probability moves by more than its limit where a logit of 400 moves by 1e-6 of it: that is rounding."""
    model = randomize(model_of(tf_keras))
    path, images = stored(model, "tf_keras.h5", tmp_path), noise()
    found = import_model(path)
    inputs = images * np.float32(found.input_scale) + np.float32(found.input_offset)
    monkeypatch.setattr(agreement, "TOLERANCE", -1.0)
    agreed = require_agreement(Source(path=path), found.network, images, inputs, output=Output.SOFTMAX)
    assert agreed.difference < TOLERANCE


def test_nothing_that_a_file_names_reaches_the_library(tmp_path: Path, randomize: Any) -> None:
    """Initializers, regularizers and policies name functions of any module: none is left."""
    evil = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    model = randomize(model_of(keras))
    path = stored(model, "keras.keras", tmp_path)
    from mbexport.models.keras_import.files import model_config

    config = model_config(path)
    assert config is not None
    for layer in config["config"]["layers"]:
        layer["config"] |= {"kernel_initializer": evil, "activity_regularizer": evil, "dtype": evil}
        layer["module"], layer["build_config"], layer["registered_name"] = "os", evil, "evil>evil"
    for library in ("keras", "tf_keras"):
        assert "os" not in set(_words(Rewrite(library=library).model(config)))


def _words(value: Any) -> Any:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _words(each)
    else:
        yield value


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["module", "class_name", "config", "registered_name", "value", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["units", "activation", "use_bias", "kernel_initializer"]), values))
def test_a_layer_is_written_anew_in_plain_values_or_refused(settings: Any) -> None:
    described = {"class_name": "Dense", "config": {"name": "d", **settings}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [described]}}
    try:
        written = Rewrite(library="keras").model(config)
    except (DataError, KeyError, TypeError, AttributeError):
        return
    (layer,) = written["config"]["layers"]
    assert (layer["module"], layer["class_name"], layer["registered_name"]) == ("keras.layers", "Dense", None)
    inner = json.loads(json.dumps(layer["config"]))
    activation = inner.pop("activation", None)
    assert not isinstance(activation, dict) or activation["module"] == "keras.layers"
    assert not any("class_name" in each or "module" in each for each in inner.values() if isinstance(each, dict))


@pytest.mark.parametrize("form", ["tf_keras.h5", "tf_keras.keras", "keras.keras", "pickle"])
def test_code_runs_where_it_is_trusted(tmp_path: Path, randomize: Any, form: str) -> None:
    library = LIBRARIES["keras" if form == "keras.keras" else "tf_keras"]
    image = library.layers.Input((PX, PX, 3))
    x = library.layers.Lambda(lambda images: images / 127.5 - 1.0, name="code", output_shape=(PX, PX, 3))(image)
    x = library.layers.GlobalAveragePooling2D()(library.layers.Conv2D(4, 3, activation="relu")(x))
    model, images = randomize(library.Model(image, library.layers.Dense(3, activation="softmax")(x))), noise()
    path = tmp_path / f"model.{form.rpartition('.')[2]}"
    if form == "pickle":
        joblib.dump(model, path)
    else:
        model.save(path)
    with pytest.raises(DataError, match="trust"):
        Source(path=path).original()
    found = Source(path=path, trust=True).original()(images)
    np.testing.assert_allclose(found, np.asarray(model(images, training=False)), atol=1e-6)
