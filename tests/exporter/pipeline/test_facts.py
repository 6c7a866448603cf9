"""The report's words on the run, for each origin of the network."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mbexport.artifact import Precision
from mbexport.calibration.choices import Correction, Keep
from mbexport.fingerprint import path_hash
from mbexport.models.data.open import open_data
from mbexport.models.facts import Output
from mbexport.models.mobilenet_v1.spec import Convolution, ModelSpec
from mbexport.models.mobilenet_v2.spec import MobileNetV2Spec
from mbexport.models.mobilenet_v3.spec import LargeSpec, SmallSpec
from mbexport.models.preprocess import CAFFE, Preprocess
from mbexport.models.resolution import Resolution
from mbexport.pipeline.facts import run_facts
from mbexport.pipeline.image_sets import ImageSets
from mbexport.pipeline.plan import BuildPlan, Foreign, Stored, Trained
from mbexport.pipeline.stage_files import UNREADABLE

SPEC = ModelSpec(alpha=0.5, resolution=Resolution.square(128), classes=10, conv=Convolution.STANDARD, shallow=True)


@pytest.fixture
def weights(tmp_path) -> Path:
    (tmp_path / "weights.h5").write_bytes(b"weights")
    return tmp_path / "weights.h5"


@pytest.fixture
def told(facts):
    """The report's part on a run on digits."""

    def tell(origin, *, stages=(), known=None, data="digits", **given):
        plan = BuildPlan(name="net", origin=origin, out=Path("out"), **given)
        source = open_data(data) if data else None
        return run_facts(plan, known or facts(SPEC), source, ImageSets(plan, source), stages)

    return tell


def test_trained_network_by_hand(told):
    report = told(
        Trained(spec=SPEC, epochs=7),
        stages=[("train", 1.26, False)],
        qat_epochs=3,
        calibration_samples=40,
        corrections=(Correction.BIAS,),
        precisions=(Precision.INT8,),
        keep=Keep(layers=("conv1",), costliest=2),
        max_bad=0.02,
        seed=5,
        threads=2,
    )
    model = report["model"]
    assert (model["family"], model["title"]) == ("mobilenet_v1", "MobileNet v1")
    # arXiv 1704.04861: 128/224 is the smallest of its resolution multipliers.
    assert (model["name"], model["alpha"], model["resolution_px"], model["rho"]) == ("net", 0.5, 128, 128 / 224)
    assert (model["channels"], model["classes"], model["output"]) == (3, 10, "softmax")
    assert (model["conv"], model["shallow"], model["trained_here"], model["source"]) == ("standard", True, True, None)
    assert report["options"] == {
        "epochs": 7,
        "qat_epochs": 3,
        "qat_steps": None,
        "calibration_samples": 40,
        "observer": "minmax",
        "ranges": None,
        "corrections": ["bias"],
        "keep": ["float:conv1", "auto:2"],
        "max_bad": 0.02,
        "io": "uint8",
        "seed": 5,
        "threads": 2,
    }
    assert report["stages"] == [{"name": "train", "seconds": 1.3, "reused": False}]
    assert report["tool"]["name"] == "mbexport"


@pytest.mark.parametrize(
    ("spec", "title", "options"),
    [
        (SPEC, "MobileNet v1", ("standard", True, None)),
        (MobileNetV2Spec(alpha=0.35), "MobileNet v2", (None, None, None)),
        (SmallSpec(minimalistic=True), "MobileNet v3 small", (None, None, True)),
        (LargeSpec(), "MobileNet v3 large", (None, None, False)),
    ],
    ids=["v1", "v2", "v3 small", "v3 large"],
)
def test_each_architecture_is_called_what_it_is(told, facts, spec, title, options):
    known = facts(ModelSpec(), family=spec.architecture, alpha=spec.alpha)
    model = told(Trained(spec=spec, epochs=1), known=known)["model"]
    assert (model["family"], model["title"]) == (spec.architecture, title)
    assert (model["conv"], model["shallow"], model["minimalistic"]) == options


def test_cost_is_that_of_the_facts(told, facts):
    model = told(Trained(spec=SPEC, epochs=1), known=facts(SPEC, mult_adds=123, parameters=45))["model"]
    assert (model["mult_adds"], model["parameters"]) == (123, 45)


def test_network_that_started_from_a_file_names_it_and_its_hash(told, weights):
    model = told(Trained(spec=SPEC, epochs=1, weights=weights))["model"]
    assert model["trained_here"] is True
    assert model["source"] == {"file": "weights.h5", "sha256": path_hash(weights)}


def test_says_whether_the_best_epoch_was_chosen_on_the_test_images(told, weights, tmp_path):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "photos" / part / name / "a.png")
    photos = str(tmp_path / "photos")

    def chosen(origin, **named) -> bool:
        return told(origin, **named)["data"]["best_epoch_chosen_on_test"]

    assert chosen(Trained(spec=SPEC, epochs=1, weights=weights), data=photos)
    assert not chosen(Trained(spec=SPEC, epochs=1, weights=weights))  # digits: a tenth was held out
    assert not chosen(Trained(spec=SPEC, epochs=1), data=photos)  # from scratch the last epoch is kept
    assert not chosen(Stored(spec=SPEC, weights=weights), data=photos)


def test_stored_network_was_not_trained_here(told, weights):
    report = told(Stored(spec=SPEC, weights=weights))
    model = report["model"]
    assert (model["conv"], model["shallow"], model["trained_here"]) == ("standard", True, False)
    assert model["source"] == {"file": "weights.h5", "sha256": path_hash(weights)}
    assert report["options"]["epochs"] is None


def test_foreign_network_says_what_is_known_of_it_and_no_more(told, facts, weights):
    grey = Preprocess(resolution=Resolution.square(96), channels=1)
    known = facts(SPEC, alpha=None, preprocess=grey, output=Output.SIGMOID, classes=4)
    model = told(Foreign(model=weights), known=known)["model"]
    assert (model["alpha"], model["conv"], model["shallow"], model["trained_here"]) == (None, None, None, False)
    assert (model["channels"], model["classes"], model["output"]) == (1, 4, "sigmoid")
    assert (model["resolution_px"], model["rho"]) == (96, 96 / 224)
    assert model["source"] == {"file": "weights.h5", "sha256": path_hash(weights)}


def test_pixels_are_those_of_the_facts_not_of_the_plan(told, facts):
    # What a model does to its own input is known to the facts alone.
    known = facts(
        SPEC, preprocess=Preprocess(resolution=Resolution.square(128), crop_fraction=0.5, normalization=CAFFE)
    )
    data = told(Trained(spec=SPEC, epochs=1), known=known, crop_fraction=0.75)["data"]
    assert (data["crop_fraction"], data["mean"], data["std"]) == (0.5, [103.939, 116.779, 123.68], 1.0)
    assert data["channel_order"] == "BGR"


def test_digits_are_named_and_were_not_looked_at(told):
    data = told(Trained(spec=SPEC, epochs=1))["data"]
    assert data["name"] == "digits"
    assert data["fingerprint"] == data["calibration_fingerprint"] == open_data("digits").fingerprint
    assert (data["mean"], data["std"], data["channel_order"]) == (127.5, 127.5, "RGB")
    assert (data["images"], data["unreadable"]) == (None, [])


def test_pictures_without_labels_have_no_name_and_list_what_was_left_out(facts, weights, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "pictures" / name)
    plan = BuildPlan(
        name="net",
        origin=Stored(spec=SPEC, weights=weights),
        out=tmp_path,
        calibration=tmp_path / "pictures",
        max_bad=0.5,
    )
    sources = ImageSets(plan, None)
    (tmp_path / UNREADABLE).write_text(json.dumps([{"unreadable": {"1": "b.png cannot be decoded"}, "copies": {}}]))
    sources.leave_out(tmp_path / UNREADABLE)
    data = run_facts(plan, facts(SPEC), None, sources, ())["data"]
    assert (data["name"], data["fingerprint"], data["images"]) == (None, None, 2)
    assert data["calibration_fingerprint"] == sources.fingerprints[1]
    assert data["unreadable"] == [{"file": "pictures/b.png", "reason": "b.png cannot be decoded"}]


def test_the_whole_part_is_json(told, weights):
    for origin in (Trained(spec=SPEC, epochs=1), Stored(spec=SPEC, weights=weights), Foreign(model=weights)):
        report = told(origin)
        assert json.loads(json.dumps(report)) == report
