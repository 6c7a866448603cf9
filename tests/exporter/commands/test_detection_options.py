"""Options of detectors: what goes with --task detect, and what does not."""

import json

import pytest
from boxes_by_hand import Photo, write_voc
from keras_by_hand import write_keras

from mbexport.commands import build, export
from mbexport.commands.recipe import context_of, recipe_of, with_recipe
from mbexport.models.ssd.spec import SsdSpec
from mbexport.models.task import Task
from mbexport.pipeline.plan import Foreign

PHOTOS = [
    Photo(name=f"{part}{number}", boxes=[("cat", 0, 0, 20, 10), ("dog", 10, 5, 14, 9)], part=part)
    for part in ("train", "test")
    for number in range(3)
]


def plan_of(folder, *words):
    context = build.command.make_context("build", ["--task", "detect", "--data", str(folder), *words])
    return build.task(context.params).plan_of(None)


@pytest.fixture
def cells(tmp_path):
    return write_voc(tmp_path / "cells", PHOTOS)


def test_a_detector_has_its_own_defaults(cells):
    plan = plan_of(cells, "--alpha", "0.25", "--int8")
    assert isinstance(plan.origin.spec, SsdSpec)
    assert (plan.origin.spec.resolution.height_px, plan.origin.spec.classes) == (300, 2)
    assert plan.preprocess(resolution=plan.origin.spec.resolution).is_stretched
    assert plan.crop_fraction == 1.0
    assert [each.name for each in plan.bundled] == ["android", "ios", "web"]


def test_stride_and_anchors_are_those_that_are_asked_for(cells):
    plan = plan_of(cells, "--feature-stride", "16", "--anchors", "0.1-0.95", "--resolution", "96")
    chosen = plan.origin.anchors.chosen
    assert (chosen.spec.feature_stride, chosen.table_name) == (16, "0.1-0.95")
    assert plan.origin.spec == chosen.spec


def test_without_them_the_boxes_decide(cells):
    plan = plan_of(cells, "--resolution", "96")
    assert len(plan.origin.anchors.candidates) == 6
    assert plan.origin.spec == plan.origin.anchors.chosen.spec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crop-fraction", "0.5"], "--crop-fraction is for --task classify, got --task detect: drop --crop-fraction"),
        (["--logits"], "--logits is for --task classify"),
        (["--batch", "4"], "--batch is for --task classify"),
        (["--precision", "dynamic"], "detectors are made in fp32 and int8, got --precision dynamic"),
        (["--arch", "mobilenet_v2"], "--task detect is for --arch mobilenet_v1, got --arch mobilenet_v2"),
        (["--shallow"], "--shallow is for --task classify, got --task detect: drop --shallow"),
        (["--resolution", "32"], "resolution must be from 96 to 1024, got 32"),
        (["--anchors", "small"], "--anchors must be 0.2-0.95 or 0.15-0.95 or 0.1-0.95, got small"),
        (["--gate", "top1=0.5"], "gate must be one of"),
        (["--raw-heads", "--format", "onnx"], "--raw-heads needs --format tflite, got --format onnx"),
    ],
)
def test_what_a_detector_does_not_have_is_refused_before_any_work(cli, cells, tmp_path, words, message):
    out = tmp_path / "out"
    done = cli("build", "--task", "detect", "--data", cells, "--out", out, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [(["--feature-stride", "8"], "feature-stride"), (["--anchors", "x"], "anchors"), (["--raw-heads"], "raw-heads")],
)
def test_what_only_a_detector_has_is_refused_of_others(cli, tmp_path, words, name):
    done = cli("build", "--out", tmp_path / "out", *words)
    assert done.returncode == 2
    assert f"--{name} is for --task detect, got --task classify: drop --{name}" in done.stderr


def test_digits_have_no_boxes(cli, tmp_path):
    done = cli("build", "--task", "detect", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "--data must be a folder of images with boxes, got digits" in done.stderr


def test_a_dry_run_shows_the_network_that_the_boxes_chose(cli, cells, tmp_path):
    done = cli("build", "--task", "detect", "--data", cells, "--resolution", "96", "--dry-run", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    assert "network: ssd_mobilenet_v1" in done.stdout
    assert "train" in done.stdout
    assert not (tmp_path / "o").exists()


def test_a_dry_run_says_why_it_has_these_anchors_and_which_boxes_are_left_out(cli, tmp_path):
    bad = Photo(name="bad", boxes=[("cat", 5, 5, 5, 9), ("cat", 0, 0, 9, 9)], part="train")
    cells = write_voc(tmp_path / "cells", [*PHOTOS, bad])
    words = ("--resolution", "96", "--max-bad", "0.5", "--dry-run", "--out", tmp_path / "o")
    lines = cli("build", "--task", "detect", "--data", cells, *words).stdout.splitlines()
    assert lines[1] == (
        "boxes that cannot be used: 1 box without an area, of 14; the first Annotations/bad.xml: box 1 must have an "
        "area, got 6 6 5 9"
    )
    reasons = lines[lines.index("anchors:") + 1 : lines.index("stages:")]
    assert len(reasons) == 6
    assert reasons[0].startswith("  stride 16, scales 0.2-0.95: ")
    assert reasons[0].endswith(": what TensorFlow's detectors have")


def test_the_cost_is_that_of_table_13(cli):
    """arXiv 1704.04861, table 13: SSD 300 with MobileNet has 6.8 M parameters and 1.2 B mult-adds."""
    shown = json.loads(cli("cost", "--task", "detect", "--json").stdout)
    assert (shown["mult_adds"], shown["folded_parameters"], shown["anchors"]) == (1_237_129_408, 6_807_167, 1917)
    text = cli("cost", "--task", "detect").stdout
    assert "published: 1.2 B mult-adds, 6.8 M parameters, COCO AP 0.193" in text


@pytest.mark.parametrize("words", [["--all"], ["--compare"]])
def test_published_classifiers_are_no_detectors(cli, words):
    done = cli("cost", "--task", "detect", *words)
    assert done.returncode == 2
    assert "is for --task classify, got --task detect" in done.stderr


def test_a_sweep_is_of_classifiers(cli, cells, tmp_path):
    done = cli("sweep", "--task", "detect", "--data", cells, "--out", tmp_path / "sweep")
    assert done.returncode == 2
    assert "a sweep is for --task classify, got --task detect" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_what_the_boxes_chose_is_recorded(cells):
    context = build.command.make_context("build", ["--task", "detect", "--data", str(cells), "--resolution", "96"])
    plan = with_recipe(build.task(context.params).plan_of(None), recipe_of(context))
    chosen = plan.origin.anchors.chosen
    recorded = plan.recipe.options
    assert (recorded["task"], recorded["epochs"]) == ("detect", 100)
    assert (recorded["feature-stride"], recorded["anchors"]) == (str(chosen.spec.feature_stride), chosen.table_name)
    again = context_of(build.command, recorded, source=cells)
    assert build.task(again.params).plan_of(None).origin.spec == plan.origin.spec


@pytest.fixture
def model(tmp_path):
    """A file of Keras; what is in it is not looked at before the run."""
    write_keras(tmp_path / "cells.keras")
    return tmp_path / "cells.keras"


def test_an_export_takes_a_detector_from_a_file(cells, model):
    words = ["--task", "detect", "--model", str(model), "--data", str(cells), "--anchors", "0.1-0.95"]
    context = export.command.make_context("export", [*words, "--feature-stride", "8"])
    task = export.task(context.params)
    plan = task.plan_of(None)
    assert plan.origin == Foreign(model=model, task=Task.DETECT, anchors="0.1-0.95", feature_stride=8)
    assert (plan.task, plan.name, plan.crop_fraction, plan.qat_epochs) == (Task.DETECT, "cells", 1.0, 0)
    assert task.data.objects is not None
    recorded = recipe_of(context).options
    assert [recorded[name] for name in ("task", "anchors", "feature-stride")] == ["detect", "0.1-0.95", "8"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crop-fraction", "0.5"], "--crop-fraction is for --task classify, got --task detect: drop --crop-fraction"),
        (["--logits"], "--logits is for --task classify"),
        (["--batch", "4"], "--batch is for --task classify"),
        (["--io", "int8"], "--io is for --task classify"),
        (["--precision", "dynamic"], "detectors are made in fp32 and int8, got --precision dynamic"),
        (["--arch", "mobilenet_v2"], "--task detect is for --arch mobilenet_v1, got --arch mobilenet_v2"),
        (["--shallow"], "--shallow is for --task classify, got --task detect: drop --shallow"),
        (["--anchors", "small"], "--anchors must be 0.2-0.95 or 0.15-0.95 or 0.1-0.95, got small"),
        (["--weights", "imagenet"], "--weights is for --task classify, got --task detect: give --model"),
        (["--gate", "top1=0.5"], "gate must be one of"),
    ],
)
def test_what_an_exported_detector_does_not_have_is_refused_before_any_work(cli, cells, model, words, message):
    out = model.parent / "out"
    done = cli("export", "--task", "detect", "--model", model, "--data", cells, "--out", out, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not out.exists()


def test_a_detector_is_verified_on_boxes(cli, cells, model, tmp_path):
    photos = cells / "JPEGImages"
    done = cli("export", "--task", "detect", "--model", model, "--calibration", photos, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr == "Error: a detector is verified on photos with boxes: give --data\n"


@pytest.mark.parametrize(
    ("words", "name"), [(["--feature-stride", "8"], "feature-stride"), (["--anchors", "x"], "anchors")]
)
def test_what_only_a_detector_has_is_refused_of_imported_classifiers(cli, model, tmp_path, words, name):
    done = cli("export", "--model", model, "--data", "digits", "--out", tmp_path / "out", *words)
    assert done.returncode == 2
    assert f"--{name} is for --task detect, got --task classify: drop --{name}" in done.stderr


def test_the_float_network_is_a_file_of_a_build_that_asks_for_it(cli, cells, tmp_path):
    words = ["build", "--task", "detect", "--data", cells, "--resolution", "96", "--dry-run", "--out", tmp_path / "o"]
    for asked in ([], ["--keras"]):
        shown = cli(*words, *asked).stdout
        assert (".h5" in shown) == bool(asked)
