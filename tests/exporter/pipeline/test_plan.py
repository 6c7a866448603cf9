"""From options to a plan: defaults, what is computed of them, and what no plan may hold."""

import dataclasses
import importlib.machinery
import importlib.util
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mbexport.artifact import Io, Precision
from mbexport.bundles.registry import PLATFORMS, Bundling, platform_names
from mbexport.cli import run
from mbexport.errors import OptionError, StageError
from mbexport.models.mobilenet_v1.spec import ModelSpec
from mbexport.models.preprocess import CAFFE, MOBILENET, RAW
from mbexport.models.resolution import Resolution
from mbexport.pipeline.plan import BuildPlan, Foreign, Stored, Trained

FP32, INT8 = Precision.FP32, Precision.INT8


@pytest.fixture
def planned(monkeypatch, capsys):
    """The plan and the data that `mbexport build ARGUMENTS` would run."""

    def plan(*arguments: object):
        caught = []

        def stop(plan, data, _progress, **_named):
            caught.append((plan, data))
            raise StageError("this is as far as the test goes")

        monkeypatch.setattr("mbexport.pipeline.build.run", stop)
        assert run(["build", *map(str, arguments)]) == 3
        assert capsys.readouterr().err.endswith("this is as far as the test goes\n")
        return caught[0]

    return plan


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for name in ("cat", "dog", "owl"):
        (root / name).mkdir()
        for i in range(2):
            Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(root / name / f"{i}.png")
    return root


def make(**changed) -> BuildPlan:
    origin = Trained(spec=ModelSpec(resolution=Resolution.square(64), classes=10), epochs=12)
    return BuildPlan(**{"name": "net", "origin": origin, "out": Path("out"), **changed})


def trained(**changed) -> Trained:
    return Trained(**{"spec": ModelSpec(resolution=Resolution.square(64), classes=10), "epochs": 1, **changed})


def test_defaults_for_digits(planned):
    plan, data = planned()
    assert plan.origin == Trained(
        spec=ModelSpec(alpha=1.0, resolution=Resolution.square(64), classes=10), epochs=12, weights=None
    )
    assert (plan.name, plan.crop_fraction, plan.normalization) == ("mobilenet_v1_1.0_64", 1.0, None)
    assert (plan.qat_epochs, plan.calibration_samples, plan.seed, plan.threads) == (0, 300, 0, 1)
    assert (plan.max_bad, plan.log_dir) == (0.01, None)
    assert (plan.precisions, plan.formats, plan.io) == ((FP32,), ("tflite", "onnx"), Io.UINT8)
    assert (plan.resume, plan.calibration, plan.limits) == (True, None, {})
    assert plan.out == Path("dist/mobilenet_v1_1.0_64")
    assert data.name == "digits"


def test_defaults_for_photos(planned, photos):
    plan, _ = planned("--data", photos, "--alpha", "0.5")
    assert plan.origin == Trained(spec=ModelSpec(alpha=0.5, resolution=Resolution.square(224), classes=3), epochs=30)
    assert plan.crop_fraction == 0.875
    assert plan.out == Path("dist/mobilenet_v1_0.5_224")


def test_given_values_beat_the_defaults(planned, photos):
    plan, _ = planned("--data", photos, "--crop-fraction", 0.5, "--epochs", 3, "--out", "there", "--no-resume")
    assert (plan.crop_fraction, plan.origin.epochs, plan.out, plan.resume) == (0.5, 3, Path("there"), False)


def test_every_other_option_reaches_the_plan(planned, photos):
    plan, _ = planned(
        *("--qat-epochs", 0, "--calibration", photos, "--calibration-samples", 7, "--io", "float32"),
        *("--seed", 2**31 - 1, "--threads", 3, "--gate", "agreement=0.5", "--gate", "samples=10"),
        *("--preprocess", "caffe", "--max-bad", "2.5%"),
    )
    assert (plan.normalization, plan.max_bad) == (CAFFE, 0.025)
    assert (plan.qat_epochs, plan.calibration, plan.calibration_samples) == (0, photos, 7)
    assert (plan.io, plan.seed, plan.threads) == (Io.FLOAT32, 2**31 - 1, 3)
    assert plan.limits == {"agreement": 0.5, "samples": 10}


def test_file_of_weights_to_start_from_reaches_the_plan(planned, tmp_path):
    (tmp_path / "w.h5").write_bytes(b"weights")
    assert planned("--weights", tmp_path / "w.h5")[0].origin.weights == tmp_path / "w.h5"
    assert planned("--weights", "none")[0].origin.weights is None


@pytest.mark.parametrize("is_installed", [True, False])
def test_curves_need_a_library_that_may_be_missing(planned, monkeypatch, capsys, is_installed):
    found = {"tensorboard": importlib.machinery.ModuleSpec("tensorboard", None) if is_installed else None}
    look = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *given: found[name] if name in found else look(name, *given)
    )
    if is_installed:
        assert planned("--log-dir", "curves")[0].log_dir == Path("curves")
        return
    assert run(["build", "--log-dir", "curves"]) == 2
    assert capsys.readouterr().err == "Error: --log-dir needs tensorboard: pip install 'mbexport[tensorboard]'\n"


@pytest.mark.parametrize(
    ("arguments", "precisions"),
    [
        ("", (FP32,)),
        ("--int8", (FP32, INT8)),
        ("--precision int8", (INT8,)),
        ("--precision int8 --precision fp32", (FP32, INT8)),
        ("--precision fp32 --precision fp32", (FP32,)),
        ("--precision int8 --int8", (FP32, INT8)),
    ],
)
def test_precisions_of_the_options(planned, arguments, precisions):
    assert planned(*arguments.split())[0].precisions == precisions


@pytest.mark.parametrize(
    ("arguments", "formats"),
    [
        ("--format onnx", {"onnx"}),
        ("--format tflite --format tflite", {"tflite"}),
        ("--format onnx --format tflite", {"onnx", "tflite"}),
    ],
)
def test_formats_of_the_options(planned, arguments, formats):
    plan, _ = planned(*arguments.split())
    assert set(plan.formats) == formats
    assert len(plan.formats) == len(formats)


@pytest.mark.parametrize(("rho", "px"), [("1", 224), ("0.857", 192), ("0.5714", 128)])
def test_resolution_multiplier_sets_the_network(planned, rho, px):
    plan, _ = planned("--rho", rho)
    assert plan.origin.spec.resolution == Resolution.square(px)
    assert plan.name == f"mobilenet_v1_1.0_{px}"


def test_last_limit_of_a_gate_counts(planned):
    assert planned("--gate", "agreement=0.5", "--gate", " agreement = 0.75")[0].limits == {"agreement": 0.75}


def test_classes_file_sets_order_and_labels(planned, photos, tmp_path):
    (tmp_path / "classes.txt").write_text("owl Great horned owl\ncat\ndog  Good dog \n")
    plan, data = planned("--data", photos, "--classes", tmp_path / "classes.txt")
    assert plan.origin.spec.classes == 3
    assert data.class_names == ("Great horned owl", "cat", "Good dog")


BELOW_1 = st.integers(max_value=0)


@given(
    st.one_of(
        st.tuples(st.sampled_from(["threads", "calibration_samples"]), BELOW_1),
        st.tuples(st.just("qat_epochs"), st.integers(max_value=-1)),
        st.tuples(st.just("seed"), st.integers(max_value=-1) | st.integers(min_value=2**31)),
    )
)
def test_number_outside_its_range_is_named_with_its_value(case):
    name, value = case
    with pytest.raises(OptionError, match=rf"^--{name.replace('_', '-')} must be .*, got {value}$"):
        make(**{name: value})


@given(BELOW_1)
def test_epochs_below_one_are_named_with_their_value(epochs):
    with pytest.raises(OptionError, match=rf"^--epochs must be at least 1, got {epochs}$"):
        trained(epochs=epochs)


@given(st.floats(max_value=0, exclude_max=True) | st.floats(min_value=1, exclude_min=True) | st.just(math.nan))
def test_fraction_of_unreadable_images_outside_its_range_is_refused(fraction):
    with pytest.raises(OptionError, match=r"^max bad must be a fraction from 0 to 1, got "):
        make(max_bad=fraction)


@given(st.floats(max_value=0) | st.floats(min_value=1, exclude_min=True) | st.just(math.nan))
def test_crop_outside_its_range_is_refused_by_the_plan_itself(fraction):
    with pytest.raises(OptionError, match=r"^crop fraction must be in \(0, 1\], got "):
        make(crop_fraction=fraction)


@pytest.mark.parametrize("changed", [{"precisions": ()}, {"formats": ()}, {"limits": {"foo": 1.0}}])
def test_plan_that_makes_or_judges_nothing_known_is_refused(changed):
    with pytest.raises(OptionError):
        make(**changed)


@pytest.mark.parametrize("changed", [{"qat_epochs": 0}, {"max_bad": 0}, {"seed": 0}, {"seed": 2**31 - 1}])
def test_outermost_legal_values_are_accepted(changed):
    (name,) = changed
    assert getattr(make(**changed), name) == changed[name]


def test_plan_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().qat_epochs = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        trained().epochs = 3


@pytest.mark.parametrize(
    "origin", [trained(), Stored(spec=ModelSpec(), weights=Path("w.h5")), Foreign(model=Path("m"))]
)
def test_pixels_of_a_plan_are_mobilenets_unless_somebody_says_otherwise(origin):
    assert make(origin=origin).preprocess(resolution=Resolution.square(32)).normalization == MOBILENET
    preprocess = make(origin=origin, normalization=RAW, crop_fraction=0.5).preprocess(resolution=Resolution.square(96))
    assert (preprocess.resolution.json, preprocess.crop_fraction, preprocess.normalization) == (96, 0.5, RAW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"formats": ("onnx",)}, "got --format onnx with --batch 1"),
        ({"batch": 4}, "got --format tflite and onnx with --batch 4"),
    ],
)
def test_bundles_that_were_asked_for_need_a_file_that_apps_can_use(changed, said):
    with pytest.raises(OptionError, match=f"takes one image at a time, {said}"):
        make(**changed, bundling=Bundling(is_required=True))
    assert make(**changed).bundled == ()
    assert make(batch=None, bundling=Bundling(is_required=True)).bundled == PLATFORMS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "../etc"}, "--bundle-name must be"),
        ({"name": ""}, "--bundle-name must be"),
        ({"version": "1.0"}, "--bundle-version must be three numbers such as 1.0.0, got '1.0'"),
        ({"version": "01.0.0"}, "--bundle-version must be"),
        ({"options": {"android-package": "Flowers"}}, "--android-package must be"),
        (
            {"options": {"ios-package": "Flowers"}},
            "the option of a bundle must be one of android-package, android-runtime, got 'ios-package'",
        ),
        ({"platforms": ("windows",)}, f"the platform of a bundle must be one of {', '.join(platform_names())}, got 'w"),
    ],
)
def test_names_that_no_bundle_can_have_are_refused(given, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        Bundling(**given)


@pytest.mark.parametrize(
    ("bundling", "option"),
    [
        ({"is_zipped": True}, "--zip"),
        ({"name": "net"}, "--bundle-name"),
        ({"version": "1.0.0"}, "--bundle-version"),
        ({"options": {"android-package": "com.acme.x"}}, "--android-package"),
    ],
)
@pytest.mark.parametrize("changed", [{"formats": ("onnx",)}, {"batch": 4}])
def test_an_option_of_bundles_needs_a_bundle(bundling, option, changed):
    with pytest.raises(OptionError, match=rf"^{option} needs a \.tflite that takes one image at a time, got --format"):
        make(**changed, bundling=Bundling(**bundling))
    assert make(bundling=Bundling(**bundling)).bundled == PLATFORMS


def test_an_option_of_one_bundle_needs_that_bundle():
    with pytest.raises(OptionError, match="--android-package goes with another --platform, got --platform ios"):
        Bundling(platforms=("ios",), options={"android-package": "com.acme.x"})


@pytest.mark.parametrize("words", ["--format onnx", "--batch 4", "--batch 4 --int8 --format tflite"])
def test_a_zip_that_cannot_be_made_is_refused_before_the_run(words, tmp_path, capsys):
    assert run(["build", "--zip", "--out", str(tmp_path / "out"), *words.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: --zip needs a .tflite that takes one image at a time, got --format ")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_licence_that_is_no_text_is_refused_before_the_run():
    with pytest.raises(OptionError, match=r"license must be a text in UTF-8, got 'a\\udcff'"):
        make(licence="a\udcff")
    with pytest.raises(OptionError, match="license must be a text"):
        make(licence=" \n")
    assert make(licence="\x1b \u202e é").licence
