"""The Android bundle of a detector holds what its readme says, and refuses what its wrapper cannot read."""

import json
from dataclasses import replace

import pytest
from detector_by_hand import LABELS
from detector_photos import DETECTOR, detector_model, golden_of_photos, model
from golden_by_hand import app_model_by_hand

from mbexport.artifact import labels_file
from mbexport.bundles.android.bundle import android_files
from mbexport.bundles.make import bundle_files
from mbexport.bundles.registry import Bundling
from mbexport.errors import DataError
from mbexport.golden.detection.vectors import GoldenTensor
from mbexport.golden.read import read_golden
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

PACKAGE = "com.acme.flowers"
ANDROID = Bundling(platforms=("android",), is_required=True)


@pytest.fixture(scope="module")
def files():
    return android_files(detector_model(), package=PACKAGE)


def finished(**changes):
    """The files of a run, with these values in the place of golden.json's own."""
    content = json.loads(golden_of_photos()["golden/golden.json"]) | changes
    golden = json.dumps(content).encode()
    return {**golden_of_photos(), "golden/golden.json": golden, DETECTOR: model(), "labels.txt": labels_file(LABELS)}


def test_a_detector_lies_where_a_classifier_would(files):
    java = {name.rpartition("/")[2] for name in files if name.startswith("src/main/java/")}
    assert {"Detector.java", "Detection.java", "Preprocess.java", "Resampling.java", "SelfTest.java"} <= java
    assert not {"Classifier.java", "Label.java", "Scores.java"} & java
    assert f"assets/{PACKAGE}/golden/case_2/resized.rgb" in files
    assert not [name for name in files if name.endswith(".out")]
    (pom,) = (content.decode() for name, content in files.items() if name.endswith(".pom"))
    assert f"<description>Object detector {DETECTOR}: 3 classes, 6 x 6 pixels</description>" in pom


def test_what_resizes_and_feeds_is_a_classifiers_but_for_the_crop(files):
    """One source of both: the code that makes bytes of bytes is the same to the letter."""
    other = android_files(app_model_by_hand(), package=PACKAGE)
    folder = "src/main/java/com/acme/flowers"
    for name in ("Resampling", "Files"):
        assert files[f"{folder}/{name}.java"] == other[f"{folder}/{name}.java"]
    ours, theirs = (each[f"{folder}/Preprocess.java"].decode() for each in (files, other))
    start = "    byte[] resized(Crop crop, Rows image) {"
    assert ours[ours.index(start) :] == theirs[theirs.index(start) :]
    assert "cropFraction" in theirs
    assert "cropFraction" not in ours


def test_the_bytes_repeat(files):
    assert android_files(detector_model(), package=PACKAGE) == files


def test_the_vectors_are_those_of_the_run(files):
    found = read_golden(files[f"assets/{PACKAGE}/golden/golden.json"])
    assert found == detector_model().golden


def test_the_readme_says_what_a_developer_needs(files):
    readme, usage = files["README.md"].decode(), files["Usage.kt"].decode()
    for words in (
        "val found = detector.detect(bitmap, 0.5)",
        "begin at 0.3",
        "Scores may differ by 0.015625, and corners of boxes by 0.00390625 of the photo",
        "Detector(context).use { assertEquals(emptyList<String>(), SelfTest.run(it)) }",
    ):
        assert words in readme
    assert "lassifier" not in readme + usage
    assert "import com.acme.flowers.Detection\n" in usage
    assert max(map(len, readme.splitlines())) < 180


def test_a_folder_of_a_run_gives_the_bundle_of_its_task():
    bundle = bundle_files(finished(), LABELS, ANDROID)
    assert bundle == {
        f"android/{name}": content for name, content in android_files(detector_model(), package="mbexport.net").items()
    }


def with_artifact(**changes):
    app = detector_model()
    return replace(app, artifact=replace(app.artifact, **changes))


def renamed(was, becomes):
    outputs = detector_model().artifact.outputs
    return tuple(replace(each, name=becomes) if each.name == was else each for each in outputs)


@pytest.mark.parametrize(
    "outputs",
    [
        (),
        renamed("location", "boxes"),
        renamed("score", "category"),
        (*detector_model().artifact.outputs, GoldenTensor(name="more", dtype="float32", shape=(1,))),
        tuple(replace(each, dtype="uint8") for each in detector_model().artifact.outputs),
        tuple(replace(each, shape=each.shape[1:]) for each in detector_model().artifact.outputs),
    ],
)
def test_outputs_that_are_no_detectors_are_refused(outputs):
    with pytest.raises(DataError, match=r"net_int8\.tflite: an app's detector must give float32 location \(1, n, 4\)"):
        android_files(with_artifact(outputs=outputs), package=PACKAGE)


def test_an_input_that_the_wrapper_does_not_know_is_refused():
    source = replace(detector_model().artifact.input, dtype="int16")
    with pytest.raises(DataError, match="needs uint8, int8 or float32 tensors with the channels last, got int16"):
        android_files(with_artifact(input=source), package=PACKAGE)


def test_a_detector_that_is_shown_a_part_is_refused_and_a_classifier_that_is_shown_all():
    app, whole = detector_model(), app_model_by_hand()
    cropped = replace(app.golden, preprocess=Preprocess(resolution=Resolution.square(6)))
    with pytest.raises(DataError, match="for --task detect shows the model whole photos, got a part"):
        android_files(replace(app, golden=cropped), package=PACKAGE)
    stretched = replace(whole.golden, preprocess=app.golden.preprocess)
    with pytest.raises(
        DataError, match="for --task classify shows the model the central part of photos, got whole ones"
    ):
        android_files(replace(whole, golden=stretched), package=PACKAGE)


def test_a_golden_row_of_a_class_without_a_label_is_refused():
    app = detector_model()
    with pytest.raises(DataError, match=r"golden\.json must name classes below 2, got 2"):
        android_files(replace(app, labels=LABELS[:2], golden=replace(app.golden, classes=2)), package=PACKAGE)


@pytest.mark.parametrize("value", ["0)\n evil", "1", [1], True, {"a": 1}, None])
@pytest.mark.parametrize("name", ["score", "corner"])
def test_a_tolerance_that_is_no_number_is_refused(name, value):
    artifacts = json.loads(golden_of_photos()["golden/golden.json"])["artifacts"]
    artifacts[0]["tolerance"][name] = value
    with pytest.raises(DataError, match="is not one of mbexport"):
        bundle_files(finished(artifacts=artifacts), LABELS, ANDROID)
