"""What has no canonical network is refused in one line that names the layer, and no code of the file is run."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

from mbexport.errors import DataError
from mbexport.models.keras_import.files import report_damage
from mbexport.models.keras_import.model import import_model
from mbexport.models.resolution import Resolution

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning")]
layers = tf_keras.layers


def chain(*middle: Any, shape: tuple[Any, ...] = (8, 8, 3), classes: int = 3) -> Any:
    x = image = layers.Input(shape)
    for layer in middle:
        x = layer(x)
    return tf_keras.Model(image, layers.Dense(classes, name="head")(layers.GlobalAveragePooling2D(name="pool")(x)))


def conv(**settings: Any) -> Any:
    return layers.Conv2D(4, 3, name="conv", **settings)


def refuses(model: Any, path: Path, match: str, **options: Any) -> None:
    model.save(path)
    with pytest.raises(DataError, match=match) as caught:
        import_model(path, **options)
    assert "\n" not in str(caught.value)


REFUSED = {
    "dilation": (lambda: [conv(dilation_rate=2)], r"layer conv \(Conv2D\) has dilation_rate \[2, 2\]"),
    "groups": (lambda: [conv(), layers.Conv2D(4, 3, groups=2, name="g")], r"layer g \(Conv2D\) has groups 2"),
    "transposed": (lambda: [layers.Conv2DTranspose(4, 3, name="t")], r"layer t \(Conv2DTranspose\) is not supported"),
    "threshold": (lambda: [conv(), layers.ReLU(threshold=1, name="r")], r"layer r \(ReLU\) has threshold 1"),
    "activation": (lambda: [conv(activation="swish")], r"has the activation swish: put hard_swish in its place, and"),
    "gelu": (
        lambda: [conv(), layers.Activation("gelu", name="g")],
        r"layer g \(Activation\) has the activation gelu: put",
    ),
    "elu": (lambda: [conv(), layers.Activation("elu", name="e")], r"activation elu: put relu in its place"),
    "slopes": (
        lambda: [conv(), layers.PReLU(alpha_initializer="uniform", name="p")],
        r"layer p \(PReLU\) has \d+ different",
    ),
    "two cuts": (
        lambda: [conv(), layers.ReLU(1.0, 0.1, name="r")],
        r"r \(ReLU\) has negative_slope .* and max_value 1.0",
    ),
    "gate": (
        lambda: [conv(), lambda x: x * layers.Activation("sigmoid", name="s")(x)],
        "must follow one vector of classes",
    ),
    "a gate": (
        lambda: [conv(), gated],
        r"multiply follows the sigmoid s: .* for a gate inside, train with a hard-sigmoid",
    ),
    "itself": (lambda: [conv(), lambda x: layers.Add(name="twice")([x, x])], "twice joins a tensor with itself"),
    "difference": (
        lambda: [conv(), lambda x: layers.Subtract(name="s")([x, layers.ReLU()(x)])],
        r"layer s \(Subtract\)",
    ),
    "largest of two": (
        lambda: [conv(), lambda x: layers.Maximum(name="m")([x, layers.ReLU()(x)])],
        r"layer m \(Maximum\)",
    ),
    "recurrent": (
        lambda: [conv(), layers.Reshape((-1, 4)), layers.LSTM(4, name="l"), layers.Reshape((1, 1, 4))],
        "LSTM",
    ),
    "softmax inside": (lambda: [conv(activation="softmax")], "must follow one vector of classes"),
    "resizing": (lambda: [layers.Resizing(4, 4, name="z"), conv()], r"layer z \(Resizing\) is not supported"),
    "norm axis": (lambda: [conv(), layers.BatchNormalization(axis=1, name="n")], "n normalizes along axis 1"),
}


def gated(x: Any) -> Any:
    gate = layers.Activation("sigmoid", name="s")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply(name="multiply")([x, gate])


def conv2(padding: str) -> Any:
    return layers.Conv2D(4, 3, padding=padding, name="conv_2")


@pytest.mark.parametrize("what", REFUSED)
def test_layers_without_a_canonical_form_are_named(tmp_path: Path, randomize: Any, what: str) -> None:
    middle, match = REFUSED[what]
    refuses(randomize(chain(*middle())), tmp_path / "model.h5", match)


def test_normalization_behind_an_activation_is_exact_before_no_padding(
    tmp_path: Path, randomize: Any, agrees: Any
) -> None:
    model = randomize(chain(conv(activation="relu"), layers.BatchNormalization(), conv2("valid")))
    model.save(tmp_path / "model.h5")
    agrees(model, tmp_path / "model.h5")


def test_a_layer_that_is_used_twice_is_refused(tmp_path: Path) -> None:
    shared = layers.Conv2D(3, 1, name="shared")
    refuses(chain(shared, shared), tmp_path / "model.h5", r"layer shared \(Conv2D\) is used more than once: give each")


def test_a_layer_called_with_training_true_is_refused(tmp_path: Path) -> None:
    dropout = layers.Dropout(0.5, name="noise")
    model = chain(conv(), lambda x: dropout(x, training=True))
    refuses(model, tmp_path / "model.h5", r"layer noise \(Dropout\) is called with training=True")


def test_several_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    one, two = layers.Input((8, 8, 3)), layers.Input((8, 8, 3))
    x = layers.Conv2D(2, 8)(one)
    refuses(tf_keras.Model(one, [x, layers.ReLU()(x)], name="m"), tmp_path / "a.h5", "m has 1 inputs and 2 outputs")
    joined = layers.Concatenate()([one, two])
    refuses(tf_keras.Model([one, two], joined, name="m"), tmp_path / "b.h5", "m has 2 inputs and 1 outputs")


@pytest.mark.parametrize(
    ("shape", "resolution", "match"),
    [
        ((8, 2049, 3), None, "must have 1 to 2048 pixels a side, got 8 x 2049"),
        ((8, 8, 5), None, "must have 1 to 4 channels"),
        ((None, None, 3), None, "of no fixed size: pass --resolution"),
        ((8, None, 3), None, "of no fixed size: pass --resolution"),
        ((8, 8, 3), Resolution.square(9), "takes images of 8 px, got --resolution 9"),
        ((8, 6, 3), Resolution.square(8), "takes images of 8x6 px, got --resolution 8"),
        ((None, 8, 3), Resolution.square(9), "takes images of any x 8 px, got --resolution 9"),
    ],
)
def test_other_inputs_are_refused(tmp_path: Path, shape: Any, resolution: Resolution | None, match: str) -> None:
    refuses(chain(conv(), shape=shape), tmp_path / "model.h5", match, resolution=resolution)


def test_an_output_that_is_no_vector_of_classes_is_refused(tmp_path: Path) -> None:
    model = tf_keras.Sequential([chain(conv(), classes=1), layers.Softmax()])
    refuses(model, tmp_path / "one.h5", "at least 2 outputs, or one sigmoid, got a softmax of 1")
    image = layers.Input((8, 8, 3))
    refuses(tf_keras.Model(image, conv()(image)), tmp_path / "map.h5", "one vector of classes, got a map of 6 x 6")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = chain(conv())
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])
    refuses(model, tmp_path / "model.h5", r"weights of layer conv \(Conv2D\) must be finite, got NaN or infinity")


def test_missing_weights_and_missing_networks_are_refused(tmp_path: Path) -> None:
    model = chain(conv())
    model.save_weights(tmp_path / "weights.h5", save_format="h5")
    with pytest.raises(DataError, match="holds weights without a network: pass it as --weights"):
        import_model(tmp_path / "weights.h5")
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file["model_weights/conv"].attrs["weight_names"] = np.array([b"conv/kernel:0"])
    with pytest.raises(DataError, match=r"layer conv \(Conv2D\) must have weights of \(4, 1\) axes, got \(4,\)"):
        import_model(tmp_path / "model.h5")


class Touches:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.h5"])
def test_a_pickle_is_refused_unopened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Touches(tmp_path / "touched")))
    with pytest.raises(DataError, match=r"is a pickle, which runs code from the file when it is loaded: pass --trust"):
        import_model(tmp_path / name)
    assert not (tmp_path / "touched").exists()


def test_what_h5py_trips_over_is_damage() -> None:
    """It ends in a SystemError where a table of names in the file leads nowhere."""
    expected = pytest.raises(DataError, match=r"the model net\.h5 cannot be read \(returned a result\)")
    with expected, report_damage(Path("net.h5")):
        raise SystemError("returned a result")


def edited(path: Path, edit: Any) -> None:
    """Rewrites the configuration in a .keras."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    parts["config.json"] = json.dumps(edit(config) or config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"module": "os", "class_name": "system"}, r"layer conv \(system\) is of a custom class, os:"),
        ({"registered_name": "mine>Conv2D"}, r"layer conv \(Conv2D\) is of a custom class, mine>Conv2D:"),
        ({"class_name": "mine>Conv2D"}, r"layer conv \(mine>Conv2D\) is not supported"),
    ],
)
def test_a_custom_class_is_not_imported(tmp_path: Path, changes: dict[str, str], match: str) -> None:
    chain(conv()).save(tmp_path / "model.keras")
    edited(tmp_path / "model.keras", lambda config: config["config"]["layers"][1].update(changes))
    with pytest.raises(DataError, match=match):
        import_model(tmp_path / "model.keras")


@given(config=st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["class_name", "config", "layers", "input_layers", "output_layers", "name", "inbound_nodes"]), inner
)))  # fmt: skip
def test_any_configuration_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, config: Any) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        file.attrs["layer_names"] = np.array([], "S1")
    with pytest.raises(DataError):
        import_model(path)
