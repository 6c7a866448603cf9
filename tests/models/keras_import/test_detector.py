"""A detector that was built here is read back from every Keras form; any other is refused by the layer that differs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from mbexport.errors import DataError, StageError
from mbexport.models.facts import Output
from mbexport.models.graph import layers_of
from mbexport.models.keras_file import network_to_h5
from mbexport.models.keras_import import layers
from mbexport.models.keras_import.agreement import Source, require_agreement
from mbexport.models.keras_import.detector import import_detector
from mbexport.models.keras_import.model import import_model
from mbexport.models.resolution import Resolution
from mbexport.models.ssd.anchor_choice import TABLES
from mbexport.models.ssd.network import build
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.ssd.stored_name import stored_name

pytestmark = [pytest.mark.run, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]

# With four classes codes and logits have the same widths, so that names alone tell them apart; no side is even.
SPEC = SsdSpec(alpha=0.1, resolution=Resolution(height_px=97, width_px=103), classes=4, feature_stride=8)
SETTINGS = (
    *("filters", "kernel_size", "strides", "padding", "use_bias", "depth_multiplier", "epsilon", "max_value", "name"),
)
FORMS = ("h5", "keras", "saved_model", "exported", "3.keras", "3.exported")
Made = Callable[[Any, str], Any]  # from a tensor and the name of a layer to what stands in the layer's place


def rebuilt(model: Any, library: Any, changes: Mapping[str, Made] | None = None) -> Any:
    """The same layers and weights in a library, with other ones in some places."""
    tensors = {"image": library.layers.Input(model.input_shape[1:], name="image")}
    for node in layers_of(model):
        config, kind = node.layer.get_config(), type(node.layer).__name__
        kept = {
            name: config[name] for name in SETTINGS if name in config and not (kind[0] == "D" and name == "filters")
        }
        if "max_value" in kept:
            kept["max_value"] = float(kept["max_value"])
        plain = lambda x, _, kind=kind, kept=kept: getattr(library.layers, kind)(**kept)(x)  # noqa: E731
        tensors[node.name] = (changes or {}).get(node.name, plain)(tensors[node.inputs[0]], node.name)
    made = library.Model(tensors["image"], [tensors[name] for name in model.output_names], name=model.name)
    for layer in model.layers:
        if layer.get_weights() and layer.name not in (changes or {}):
            made.get_layer(layer.name).set_weights(layer.get_weights())
    return made


@pytest.fixture(scope="module")
def detector(randomize: Any) -> Any:
    return randomize(build(SPEC))


@pytest.fixture(scope="module")
def stored(detector: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the detector in each form."""
    folder = tmp_path_factory.mktemp("detector")
    (folder / "h5").write_bytes(network_to_h5(detector, name=stored_name(TABLES["0.15-0.95"])))
    named = tf_keras.Model(detector.inputs, detector.outputs, name=stored_name(TABLES["0.1-0.95"]))
    named.save(folder / "named.keras")
    (folder / "named.keras").rename(folder / "keras")
    named.save(folder / "saved_model", save_format="tf")
    detector.export(folder / "exported")
    third = rebuilt(detector, keras)
    third.save(folder / "3.keras")
    third.export(folder / "3.exported", verbose=False)
    return folder


def images(count: int = 3) -> Any:
    return np.random.default_rng(5).uniform(-1, 1, (count, *SPEC.resolution.sides_px, 3)).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_network_and_what_it_is(detector: Any, stored: Path, form: str) -> None:
    found = import_detector(stored / form)
    tables = {"h5": "0.15-0.95", "keras": "0.1-0.95", "saved_model": "0.1-0.95"}
    assert (found.spec, found.table_name) == (SPEC, tables.get(form))
    network, given = found.imported.network, images()
    assert network.output_names == detector.output_names
    if form != "3.exported":  # where normalization is a product and a sum
        for one, other in zip(detector.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(detector(given), network(given), strict=True):
        assert np.ptp(other) > 0.1
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * float(np.abs(one).max()))


@pytest.mark.parametrize("form", FORMS)
def test_the_users_model_gives_its_heads_in_the_order_of_ours(detector: Any, stored: Path, form: str) -> None:
    source, given = Source(path=stored / form, is_detector=True), images()
    for one, other in zip(detector(given), source.original().heads(given), strict=True):
        assert other.shape == one.shape
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5 * float(np.abs(one).max()))
    network = import_detector(stored / form).imported.network
    assert require_agreement(source, network, given, given, output=Output.DETECTIONS).difference < 1e-5


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("h5", "12 outputs: it is a detector: add --task detect to `mbexport export`"),
        ("3.keras", "12 outputs: it is a detector: add --task detect to `mbexport export`"),
        ("saved_model", "12 outputs: it is a detector: add --task detect to `mbexport export`"),
        ("exported", "12 outputs: it must have one of each; of a detector add --task detect to `mbexport export`"),
    ],
)
def test_a_detector_is_no_classifier(stored: Path, form: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        import_model(stored / form)
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize("form", ["h5", "exported"])
def test_an_import_that_differs_names_the_first_layer(stored: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    from mbexport.models.keras_import import detector_layers

    plain = detector_layers.READERS["DepthwiseConv2D"]

    def wrong(graph: Any, value: int, layer: Any) -> Any:
        (kernel,), source = plain(graph, value, layer)
        return [kernel * (1.01 if layer.name == "conv_dw_3" else 1)], source

    monkeypatch.setattr(detector_layers, "READERS", {**detector_layers.READERS, "DepthwiseConv2D": wrong})
    network = import_detector(stored / form).imported.network
    with pytest.raises(StageError, match=r"on 3 images heads differ by up to .*, at first behind .*conv_dw_3"):
        require_agreement(
            Source(path=stored / form, is_detector=True), network, images(), images(), output=Output.DETECTIONS
        )


def test_what_the_importer_reads_wrongly_is_found(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = layers.CONVERTERS["Conv2D"]
    monkeypatch.setattr(
        layers, "CONVERTERS", {**layers.CONVERTERS, "Conv2D": lambda call, w: plain(call, [w[0] * 1.001, *w[1:]])}
    )
    network = import_detector(stored / "h5").imported.network
    with pytest.raises(StageError, match=r"at first behind layer conv1 \(Conv2D\)"):
        require_agreement(
            Source(path=stored / "h5", is_detector=True), network, images(), images(), output=Output.DETECTIONS
        )


def conv(filters: int, **settings: Any) -> Made:
    return lambda x, name: tf_keras.layers.Conv2D(filters, 1, name=name, **settings)(x)


def copied_activation(x: Any, name: str) -> Any:
    """The head on a ReLU of its own, which computes what the one before it does."""
    other = tf_keras.layers.ReLU(6.0, name="copy")(x._keras_history.layer.input)
    return tf_keras.layers.Conv2D(12, 1, name=name)(other)


DIFFERENT: dict[str, tuple[dict[str, Made], str]] = {
    "five anchors": (
        {"boxes_2": conv(20)},
        "boxes_2 must give 4 codes for each of 6 anchors a place, 24 channels, got 20",
    ),
    "other classes": ({"classes_3": conv(18)}, "classes_3 must give as many logits for each of 6 anchors"),
    "no ceiling": (
        {"conv_pw_5_relu": lambda x, name: tf_keras.layers.ReLU(name=name)(x)},
        r"in place of the layer conv_pw_5_relu there must be a ReLU with ceiling 6, got conv_pw_5_relu (a ReLU",
    ),
    "a stride": (
        {"conv_dw_6": lambda x, name: tf_keras.layers.DepthwiseConv2D(5, padding="same", use_bias=False, name=name)(x)},
        "conv_dw_6 there must be a depthwise convolution with kernel (3, 3, 25, 1), strides (1, 1) and padding same",
    ),
    "a bias": (
        {"conv_pw_2": conv(12)},
        "the layer conv_pw_2 there must be a convolution with kernel (1, 1, 6, 12), strides (1, 1) and padding valid, "
        "without bias, got conv_pw_2",
    ),
    "no normalization": (
        {"conv_pw_4_bn": lambda x, name: tf_keras.layers.Dropout(0.5, name=name)(x)},
        "in place of the layer conv_pw_4_bn there must be a batch normalization with epsilon 0.001, got conv_pw_4",
    ),
    "another map": ({"classes_0": copied_activation}, "the layer conv_pw_11_relu must be read by each layer that"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_network_with_the_same_outputs_is_refused_by_its_layer(
    detector: Any, tmp_path: Path, what: str
) -> None:
    changes, said = DIFFERENT[what]
    path = tmp_path / "other.h5"
    rebuilt(detector, tf_keras, changes).save(path)
    with pytest.raises(DataError) as caught:
        import_detector(path)
    assert f"{path} is no SSD-MobileNet that mbexport built: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["h5", "exported"])
def test_other_outputs_are_refused_by_name(tmp_path: Path, form: str) -> None:
    image = tf_keras.layers.Input((97, 97, 3))
    x = tf_keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="stem")(image)
    heads = [tf_keras.layers.Conv2D(4, 1, name="regression")(x), tf_keras.layers.Conv2D(3, 1, name="scores")(x)]
    classifier = tf_keras.layers.Dense(3, name="answers")(tf_keras.layers.GlobalAveragePooling2D()(x))
    for outputs, names in ((heads, "2: regression, scores"), (classifier, "1: answers")):
        model, path = tf_keras.Model(image, outputs), tmp_path / names[3:] / form
        path.parent.mkdir()
        model.save(path, save_format="h5") if form == "h5" else model.export(path)
        with pytest.raises(DataError) as caught:
            import_detector(path)
        assert str(caught.value) == (
            f"{path} must be an SSD-MobileNet that mbexport built, with the 12 outputs boxes_0, classes_0 to "
            f"classes_5, got {names}"
        )


def test_equal_weights_give_equal_files(detector: Any) -> None:
    assert network_to_h5(detector, name="one") == network_to_h5(detector, name="one")
