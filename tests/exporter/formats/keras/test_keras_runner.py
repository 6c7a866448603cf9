"""A Keras file classifies as Keras itself has it, says what it does to its input, and is matched by that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from short_network import CLASSES, PX, blocks, short_network

from mbexport.errors import DataError
from mbexport.formats.contents import identity_of, labels_of, recognize
from mbexport.formats.matching import input_json, match, output_json
from mbexport.formats.registry import format_of, kernels_of, open_runner
from mbexport.formats.runner import Runner
from mbexport.formats.subject import Source, Subject
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.network import build
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, UNIT, Normalization, Preprocess
from mbexport.models.resolution import Resolution

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),  # tf_keras calls .h5 legacy
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PIXELS = Preprocess(resolution=Resolution.square(PX), crop_fraction=1.0)
FORMS = ("net.keras", "net.h5", "net")
layers = tf_keras.layers


def matched(runner: Runner, given: Normalization | None = None) -> Subject:
    return match(runner, pixels=PIXELS, given=given, classes=CLASSES, background=False)


def behind(*first: Any, last: int | None = None) -> tf_keras.Model:
    """The short network behind layers that change its input, up to its layer number `last`."""
    network = short_network()
    x = image = layers.Input((PX, PX, 3))
    for layer in (*first, *network.layers[1:last]):
        x = layer(x)
    return tf_keras.Model(image, x)


@pytest.fixture
def saved(tmp_path) -> Callable[..., Path]:
    """Writes a model in a form that its name says."""

    def write(model: tf_keras.Model, form: str = "net.keras") -> Path:
        model.save(tmp_path / form)
        return tmp_path / form

    return write


@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_as_keras_does(saved, form):
    model = short_network()
    path = saved(model, form)
    subject = matched(open_runner(path), given=MOBILENET)
    expected = model.predict(PIXELS.normalize(blocks(5)), verbose=0)
    np.testing.assert_allclose(subject.scores(subject.raw(blocks(5))), expected, atol=1e-6)
    assert (format_of(path).name, subject.runner.batch, subject.source) == ("keras", 1, Source.OPTION)
    assert (subject.name, subject.kind) == (form, Output.SOFTMAX)
    assert kernels_of(subject.runner).rows == format_of(path).kernel_paths == ()
    assert recognize(subject.runner) is labels_of(subject.runner) is None
    sha256, size_bytes = identity_of(path)
    assert len(sha256) == 64
    assert size_bytes > 1000


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("first", "mean", "std"),
    [
        ([layers.Rescaling(1 / 127.5, offset=-1)], 127.5, 127.5),
        ([layers.Rescaling(1 / 255)], 0, 255),
        ([layers.Rescaling(1 / 255), layers.Rescaling(2, offset=-1)], 127.5, 127.5),
    ],
)
def test_a_network_that_rescales_bytes_says_so_itself(saved, form, first, mean, std):
    model = behind(*first)
    subject = matched(open_runner(saved(model, form)), given=UNIT)  # which is for files that do not say
    assert subject.source is Source.MODEL
    assert input_json(subject)["mean"] == pytest.approx([mean], abs=1e-4)
    assert input_json(subject)["std"] == pytest.approx([std], rel=1e-6)
    expected = model.predict(blocks(5).astype(np.float32), verbose=0)
    np.testing.assert_allclose(subject.raw(blocks(5)), expected, atol=1e-5)


def test_a_network_that_rescales_no_bytes_needs_the_user(saved):
    """Numbers in 0..1 become -1..1; bytes would become up to 509."""
    model = behind(layers.Rescaling(2, offset=-1))
    runner = open_runner(saved(model))
    with pytest.raises(DataError, match=r"net\.keras: it rescales an input that is no byte: give --preprocess"):
        matched(runner)
    subject = matched(runner, given=UNIT)
    assert subject.source is Source.OPTION
    np.testing.assert_allclose(subject.raw(blocks(5)), model.predict(blocks(5) / np.float32(255), verbose=0), atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_chain_that_is_not_the_model_is_compared_with_nothing(saved, form, monkeypatch):
    """As if the importer forgot the bias of the last layer."""
    path = saved(short_network(), form)
    runner = open_runner(path)
    head = [layer for layer in runner._network.layers if layer.weights][-1]
    head.set_weights([*head.get_weights()[:-1], head.get_weights()[-1] + np.float32([1, *[0] * (CLASSES - 1)])])
    with pytest.raises(
        DataError, match=r"the import of .* is not the model that .* computes: on 4 images scores differ by up to "
    ):
        matched(runner, given=MOBILENET)


def test_a_network_that_says_nothing_needs_the_user(saved):
    with pytest.raises(DataError, match=r"net\.keras: its input is float32, and it does not say what it expects"):
        matched(open_runner(saved(short_network())))


def test_logits_are_told_from_probabilities(saved):
    subject = matched(open_runner(saved(behind(last=-1))), given=MOBILENET)
    assert output_json(subject) == {
        "dtype": "float32", "kind": "logits", "background": False, "codes": None, "conflict": None,
    }  # fmt: skip
    whole = matched(open_runner(saved(short_network(), "whole.keras")), given=MOBILENET)
    of_logits, of_softmax = (each.probabilities(each.scores(each.raw(blocks(3)))) for each in (subject, whole))
    np.testing.assert_allclose(of_logits, of_softmax, atol=1e-6)


def test_a_network_is_recognized_by_its_layers(saved):
    runner = open_runner(saved(build(ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=10))))
    assert recognize(runner) == ModelSpec(alpha=0.25)


@pytest.mark.parametrize(
    ("name", "content"), [("net.h5", b""), ("net.keras", b"garbage"), ("net.h5", b"\x89HDF\r\n\x1a\n")]
)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_runner(tmp_path / name)
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
