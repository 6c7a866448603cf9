"""A detector that was built here, exported again from its Keras file: the same files, and what is refused."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from command_line import run_in_its_own_process, run_in_process
from delivered import repeating
from small_shapes import Shapes

from mbexport.report.schema import detection_schema

pytestmark = pytest.mark.run

EXPORT = ("export", "--task", "detect", "--int8", "--raw-heads", "--no-latency", "--no-sensitivity", "--cache", "none")


@pytest.fixture
def shapes(small_shapes) -> Shapes:
    return small_shapes


@pytest.fixture
def built(shapes) -> Path:
    """The finished build, which nothing is written into."""
    return shapes.build


def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_bytes())


def keras_file(built: Path) -> Path:
    (file,) = built.glob("*.h5")
    return file


def test_an_export_of_the_float_network_makes_what_the_build_made(shapes, built, tmp_path):
    """Every byte of what repeats but for the Keras file itself, and every figure of the verdict."""
    done = run_in_its_own_process(
        *EXPORT, "--model", keras_file(built), "--data", shapes.photos, "--out", tmp_path / "out"
    )
    assert done.returncode in (0, 1), done.stderr
    ours, own = repeating(tmp_path / "out"), repeating(built)
    assert set(own) - set(ours) == {keras_file(built).name}
    assert ours == {name: own[name] for name in ours}
    found, before = report(tmp_path / "out"), report(built)
    jsonschema.validate(found, detection_schema())
    assert found["import_agreement"]["difference"] < 1e-4
    assert found["model"]["feature_stride"] == before["model"]["feature_stride"]
    assert [(each["name"], each["verdict"]) for each in found["gates"]] == [
        (each["name"], each["verdict"]) for each in before["gates"]
    ]
    assert [each["ap"] for each in found["artifacts"]] == [each["ap"] for each in before["artifacts"]]


def test_another_form_of_it_is_calibrated_on_photos_without_boxes(shapes, built, tmp_path):
    """A model saved again by Keras keeps its float file; integers are those of the photos that are given."""
    import tf_keras

    again = tmp_path / f"{keras_file(built).stem}.keras"
    tf_keras.models.load_model(keras_file(built), compile=False).save(again)
    photos = tmp_path / "photos"
    photos.mkdir()
    for file in sorted((shapes.photos / "JPEGImages").glob("val_*.png")):
        shutil.copy(file, photos)
    words = (*EXPORT, "--model", again, "--data", shapes.photos, "--calibration", photos, "--out", tmp_path / "out")
    done = run_in_its_own_process(*words)
    assert done.returncode in (0, 1), done.stderr
    ours, own = repeating(tmp_path / "out"), repeating(built)
    same = {name for name in ours if ours[name] == own[name]}
    assert {f"{again.stem}_fp32.tflite", f"{again.stem}_fp32.onnx", "labels.txt"} <= same
    assert f"{again.stem}_int8.tflite" not in same


def test_layers_of_a_detector_stay_in_float_in_files_with_boxes_and_with_raw_heads(shapes, built, tmp_path):
    keep = ("--keep", "float:classes_1", "--keep", "auto:1", "--precision", "int8")
    words = (*EXPORT, *keep, "--model", keras_file(built), "--data", shapes.photos, "--out", tmp_path / "out")
    done = run_in_process(*words)
    assert done.returncode in (0, 1), done.stderr
    found = report(tmp_path / "out")
    jsonschema.validate(found, detection_schema())
    kept = {row["layer"] for row in found["calibration"]["in_float"]}
    assert "classes_1" in kept
    assert len(kept) == 2
    whole = {entry["file"]: entry["kernels"]["int8_convs"] for entry in report(built)["artifacts"]}
    int8 = [entry for entry in found["artifacts"] if entry["precision"] == "int8"]
    assert [entry["file"].removeprefix(f"{keras_file(built).stem}_") for entry in int8] == [
        *("int8.tflite", "int8.onnx", "int8_raw.tflite")
    ]
    for entry in int8:
        assert entry["kernels"]["float_convs"] == 2
        assert entry["kernels"]["int8_convs"] == whole[entry["file"]] - 2
        assert entry["paired"] > 0.85
    assert {each["verdict"] for each in found["gates"] if each["name"] in ("twin_paired", "int8_convs")} <= {
        *("pass", "undecided")
    }


def test_layers_that_a_detector_does_not_have_are_refused(shapes, built, tmp_path):
    words = ("--keep", "float:classes_9", "--model", keras_file(built), "--data", shapes.photos)
    require_refused(tmp_path, "--keep float: must name one of conv1, ", *EXPORT, *words, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--anchors", "0.1-0.95"), "was trained with --anchors 0.2-0.95, got --anchors 0.1-0.95: drop --anchors"),
        (("--resolution", "128"), "the model takes images of 96 px, got --resolution 128"),
    ],
)
def test_what_the_file_says_otherwise_is_refused_in_one_line(shapes, built, tmp_path, words, message):
    given = ("--model", keras_file(built), "--data", shapes.photos, "--out", tmp_path / "out")
    require_refused(tmp_path, message, *EXPORT, *given, *words)


def test_a_detector_is_no_classifier_of_keras(built, tmp_path):
    words = ("export", "--model", keras_file(built), "--data", "digits", "--int8", "--out", tmp_path / "out")
    message = "has 1 inputs and 12 outputs: it is a detector: add --task detect to `mbexport export`"
    require_refused(tmp_path, message, *words)


def require_refused(tmp_path: Path, message: str, *words: object) -> None:
    done = run_in_process(*words)
    assert (done.returncode, done.stdout) == (2, "")
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("Error: ")
    assert message in last
    assert done.stderr.count("Error") == 1
    assert not (tmp_path / "out").exists()


def test_a_classifier_of_keras_is_no_detector(shapes, tmp_path):
    import tf_keras

    image = tf_keras.layers.Input((96, 96, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(tf_keras.layers.Conv2D(4, 3)(image))
    tf_keras.Model(image, tf_keras.layers.Dense(2, name="scores")(x)).save(tmp_path / "net.h5")
    done = run_in_process(*EXPORT, "--model", tmp_path / "net.h5", "--data", shapes.photos, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "must be an SSD-MobileNet that mbexport built, with the 12 outputs" in done.stderr
    assert "got 1: scores" in done.stderr
    assert not (tmp_path / "out").exists()
