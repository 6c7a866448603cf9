"""Somebody's model: what it is fed where nobody says, and when other conventions are tried on it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from contexts import context, record
from keras_by_hand import write_keras
from PIL import Image

from mbexport.cli import run
from mbexport.errors import DataError
from mbexport.models.data.imageset import ImageSet
from mbexport.models.facts import Facts, facts_from_json, facts_to_json
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import MOBILENET, UNIT, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import BuildPlan, Foreign
from mbexport.pipeline.stage_files import INPUT, NETWORK, TRIED, WEIGHTS

pytestmark = pytest.mark.run

SMALL = ("--format", "onnx", "--resolution", "32")


@pytest.fixture
def exported(stand_ins, tmp_path, capfd):
    """Exports a model that stands for somebody's: what it warned of, and its report."""
    for name, least in (("dark", 0), ("light", 150)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(40):
            Image.fromarray(np.full((2, 2, 3), least + i, np.uint8)).save(tmp_path / "photos" / name / f"{i:02}.png")
    write_keras(tmp_path / "net.keras")
    assert stand_ins.tried_on == []

    def start(*arguments: str) -> tuple[str, dict]:
        places = {name: str(tmp_path / name) for name in ("photos", "net.keras", "out")}
        words = [places.get(word, word) for word in ("--out", "out", *SMALL, *arguments)]
        code = run(["export", *words])
        shown = capfd.readouterr()
        assert code in (0, 1), shown.err
        return shown.err, json.loads((tmp_path / "out" / "report.json").read_bytes())

    return start


def test_other_conventions_are_tried_on_the_test_images_and_told(exported, stand_ins):
    errors, report = exported("--model", "net.keras", "--data", "photos")
    assert "with --preprocess raw it gives 75.0%" in errors
    (images,) = stand_ins.tried_on
    assert report["tried_normalizations"] == {"samples": 20, "top1": {"mobilenet": 0.25, "raw": 0.75}}
    assert len(images) == report["reference"]["samples"] == 20
    assert "normalizations" in [stage["name"] for stage in report["stages"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "net.keras", "--data", "photos", "--preprocess", "mobilenet"),
        ("--model", "net.keras", "--data", "photos", "--mean", "1"),
        ("--model", "net.keras", "--calibration", "photos"),
        ("--weights", "net.keras", "--alpha", "0.25", "--data", "photos"),
    ],
    ids=["said", "said in numbers", "no labels", "weights of ours"],
)
def test_nothing_is_tried_where_it_is_known_or_cannot_be_judged(exported, stand_ins, arguments):
    errors, report = exported(*arguments)
    assert stand_ins.tried_on == []
    assert report["tried_normalizations"] is None
    assert "--preprocess raw" not in errors


def test_other_conventions_are_tried_on_a_model_that_rescales_its_own_input(exported, stand_ins, facts):
    rescaling = facts(
        ModelSpec(alpha=0.25, resolution=Resolution.square(32), classes=2), preprocess=pixels(normalization=UNIT)
    )
    stand_ins.files[NETWORK] = facts_to_json(rescaling).encode()
    exported("--model", "net.keras", "--data", "photos")
    assert len(stand_ins.tried_on) == 1


def test_model_with_other_scores_than_classes_is_refused_when_it_was_read_before(stand_ins, tmp_path, capfd, exported):
    exported("--model", "net.keras", "--calibration", "photos")
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    words = ["--model", str(tmp_path / "net.keras"), "--calibration", str(tmp_path / "photos")]
    words += ["--classes", str(tmp_path / "three.txt"), "--out", str(tmp_path / "out")]
    assert stand_ins.tried_on == []
    assert run(["export", *words, *SMALL]) == 2
    said = "must give a score for each class of the data, got 2 scores for 3 classes\n"
    assert capfd.readouterr().err.endswith(said)


def pixels(**given) -> Preprocess:
    return Preprocess(**{"resolution": Resolution.square(32), "crop_fraction": 1.0, **given})


def plan_of(model: Path, **given) -> BuildPlan:
    return BuildPlan(**{"name": "net", "origin": Foreign(model=model), "out": Path("out"), **given})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Writes a Keras model of three scores, with the layers in front that are given."""
    folder = tmp_path_factory.mktemp("stored")

    def store(name: str, *first, channels: int = 3) -> Path:
        from tf_keras import Sequential, layers

        layers_ = [layers.Input((32, 32, channels)), *first, layers.Conv2D(4, 3, strides=2, padding="same")]
        layers_ += [layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
        Sequential(layers_).save(folder / name)
        return folder / name

    return store


def imported(model: Path, *, classes: int | None = 3, **given) -> Facts:
    from mbexport.pipeline.stages.train import import_network

    names = tuple(map(str, range(classes))) if classes else None
    return facts_from_json(import_network(context(plan_of(model, **given), class_names=names))[NETWORK].decode())


def rescaling(scale: float, offset: float):
    from tf_keras import layers

    return layers.Rescaling(scale, offset)


def test_model_that_says_nothing_is_fed_as_mobilenets_are(stored):
    facts = imported(stored("plain.keras"), crop_fraction=0.5)
    assert facts.preprocess == pixels(normalization=MOBILENET, crop_fraction=0.5)
    assert (facts.classes, facts.alpha, facts.output) == (3, None, "softmax")
    # 16 x 16 outputs of 3 x 3 x 3 products for 4 filters, and 4 x 3 of the head
    assert facts.mult_adds == 16 * 16 * 27 * 4 + 12
    assert facts.parameters == 27 * 4 + 4 + 12 + 3


def test_model_that_rescales_is_fed_bytes(stored):
    facts = imported(stored("rescaling.keras", rescaling(1 / 255, 0.0)))
    (mean,), (std,) = facts.preprocess.normalization.mean, facts.preprocess.normalization.std
    assert (mean, std) == pytest.approx((0, 255), rel=1e-6)


@pytest.mark.parametrize(("scale", "offset"), [(2.0, -1.0), (0.5, 0.5), (1 / 0.229, -0.485 / 0.229)])
def test_model_that_rescales_no_bytes_needs_the_user(stored, scale, offset):
    """As `verify` has it: bytes would become hundreds."""
    model = stored("no_bytes.keras", rescaling(scale, offset))
    with pytest.raises(DataError, match=r"no_bytes\.keras: it rescales an input that is no byte: give --preprocess"):
        imported(model)
    assert imported(model, normalization=UNIT).preprocess.normalization.std == pytest.approx((255 / scale,))


def test_rescaling_comes_behind_what_the_user_says(stored):
    model = stored("shifting.keras", rescaling(2.0, -1.0))
    norm = imported(model, normalization=UNIT).preprocess.normalization
    # 2 * (b / 255) - 1 is (b - 127.5) / 127.5
    assert (norm.mean, norm.std) == (pytest.approx((127.5,)), pytest.approx((127.5,)))


def test_grey_model_takes_grey_images(stored):
    facts = imported(stored("grey.keras", channels=1))
    assert facts.preprocess.channels == 1


@pytest.mark.parametrize("classes", [2, 4])
def test_model_with_another_number_of_scores_is_refused(stored, classes):
    with pytest.raises(DataError, match=f"must give a score for each class of the data, got 3 scores for {classes} "):
        imported(stored("plain.keras"), classes=classes)
    assert imported(stored("plain.keras"), classes=None).classes == 3


def test_each_convention_is_tried_by_hand(tmp_path):
    import tf_keras
    from tf_keras import layers

    from mbexport.models.facts import Output
    from mbexport.models.network import facts_of_network
    from mbexport.models.weights import weights_to_bytes
    from mbexport.pipeline.stages.verify import try_normalizations

    # Scores (x, 100 - x): the first class wins above 50, which is so for bright bytes and never for -1..1.
    head, mean = layers.Conv2D(2, 1), layers.GlobalAveragePooling2D(keepdims=True)
    image = layers.Input((32, 32, 1))
    network = tf_keras.Model(image, layers.Reshape((2,))(head(mean(image))))
    head.set_weights([np.array([[[[1.0, -1.0]]]], np.float32), np.array([0.0, 100.0], np.float32)])
    facts = facts_of_network(network, pixels(channels=1, normalization=MOBILENET), Output.LOGITS)
    (tmp_path / NETWORK).write_text(facts_to_json(facts), "utf-8")
    (tmp_path / WEIGHTS).write_bytes(weights_to_bytes(network))
    images = ImageSet(
        labels=np.array([0, 0, 0, 1], np.int64),
        names=("200", "100", "60", "40"),
        read=lambda i: Image.new("RGB", (4, 4), ((200, 100, 60, 40)[i],) * 3),
    )

    def tried(**own) -> dict:
        (tmp_path / INPUT).write_text(json.dumps(own), "utf-8")
        records = {"import": record(tmp_path, NETWORK, WEIGHTS, INPUT)}
        run = context(plan_of(tmp_path / "net.keras"), images=SimpleNamespace(test=images), records=records)
        return json.loads(try_normalizations(run)[TRIED])

    # Grey images have no order of channels: the convention of Caffe is left out.
    assert tried(scale=[1.0], offset=[0.0], assumed="mobilenet") == {
        "samples": 4,
        "assumed": "mobilenet",
        "top1": {"mobilenet": 0.25, "unit": 0.25, "raw": 1.0},
    }
    # What the model does itself comes behind: of bytes less than 10 are left, of numbers up to 1 up to 204.
    rescales = tried(scale=[204.0], offset=[0.0], assumed="raw")
    assert rescales == {"samples": 4, "assumed": "raw", "top1": {"mobilenet": 0.5, "unit": 0.75, "raw": 0.75}}
