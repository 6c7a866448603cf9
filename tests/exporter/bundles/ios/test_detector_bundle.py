"""The iOS bundle of a detector: its files, their content, and the models that it refuses."""

from dataclasses import replace

import pytest
from detector_by_hand import LABELS
from detector_photos import DETECTOR, detector_model
from golden_by_hand import app_model_by_hand

from mbexport.bundles.ios.bundle import ios_files
from mbexport.errors import DataError
from mbexport.golden.read import read_golden
from mbexport.models.preprocess import Preprocess
from mbexport.models.resolution import Resolution

SOURCES, TESTS = "Sources/Net", "Tests/NetTests"


@pytest.fixture(scope="module")
def files():
    return ios_files(detector_model())


def test_the_files_of_a_package(files):
    swift = ("Answer", "AppleImages", "Detection", "Detector", "DetectorError", "Element", "Engine", "LiteRTEngine")
    swift += ("Pixels", "Preprocess", "Resampling", "Resources", "Settings", "TensorFlowLiteEngine")
    cases = [f"case_{case}/{name}.rgb" for case in range(3) for name in ("raw", "resized")]
    assert set(files) == {
        "Package.swift",
        "README.md",
        "Net.podspec",
        *(f"{SOURCES}/{each}.swift" for each in swift),
        f"{SOURCES}/Resources/{DETECTOR}",
        f"{SOURCES}/Resources/labels.txt",
        f"{TESTS}/GoldenTests.swift",
        *(f"{TESTS}/golden/{each}" for each in ("golden.json", *cases)),
    }
    assert read_golden(files[f"{TESTS}/golden/golden.json"]) == detector_model().golden
    assert files == ios_files(detector_model())


def test_what_resizes_and_feeds_is_a_classifiers_but_for_the_crop(files):
    """One source of both: the code that makes bytes of bytes is the same to the letter."""
    other = {name.rpartition("/")[2]: content for name, content in ios_files(app_model_by_hand()).items()}
    ours = {name.rpartition("/")[2]: content for name, content in files.items()}
    assert ours["Resampling.swift"] == other["Resampling.swift"]
    assert ours["Pixels.swift"] == other["Pixels.swift"].replace(b"ClassifierError", b"DetectorError")
    start = b"  private func cropped("
    mine, theirs = (each["Preprocess.swift"] for each in (ours, other))
    assert mine[mine.index(start) :] == theirs[theirs.index(start) :]
    assert b"cropFraction" not in mine


def test_nothing_speaks_of_a_classifier(files):
    texts = [content for name, content in files.items() if not name.endswith((".tflite", ".rgb"))]
    assert not [text for text in texts if b"lassif" in text]


def test_settings_are_those_of_the_model(files):
    told = " ".join(files[f"{SOURCES}/Settings.swift"].decode().split())
    assert "preprocess = Preprocess( resolution: Size(height: 6, width: 6), channels: 3)" in told
    assert "element: .uint8, isBlueFirst: false," in told
    assert "static let most = 10" in told


def test_a_file_whose_name_no_tool_takes_is_called_as_the_module():
    app, odd = detector_model(), f'a "{DETECTOR}'
    cases = tuple(replace(case, expected={odd: case.expected[DETECTOR]}) for case in app.golden.cases)
    made = ios_files(replace(app, artifact=replace(app.artifact, file=odd), golden=replace(app.golden, cases=cases)))
    assert f"{SOURCES}/Resources/Net.tflite" in made
    assert set(read_golden(made[f"{TESTS}/golden/golden.json"]).cases[0].expected) == {"Net.tflite"}


def test_the_readme_shows_what_the_app_needs(files):
    readme = files["README.md"].decode()
    for word in (
        "import Net",
        "try detector.detect(photo, minScore: 0.5)",
        "scores may be 0.015625 away, and corners 0.00390625 of the photo",
        "`Detector(engine: mine)` runs",
        "begin at 0.3.",
        "float32 out",
    ):
        assert word in readme
    assert 's.summary = "Object detection by net_int8.tflite"' in files["Net.podspec"].decode()


def test_what_no_detector_could_use_is_refused():
    app = detector_model()
    source = replace(app.artifact.input, dtype="int16")
    with pytest.raises(DataError, match=r"the input of .* must be uint8, int8, float32, got int16"):
        ios_files(replace(app, artifact=replace(app.artifact, input=source)))
    with pytest.raises(DataError, match="an app's detector must give float32 location"):
        ios_files(replace(app, artifact=replace(app.artifact, outputs=app.artifact.outputs[1:])))
    with pytest.raises(DataError, match="labels must be 3, one for each class, got 2"):
        ios_files(replace(app, labels=LABELS[:2]))


def test_a_detector_that_is_shown_a_part_is_refused_and_a_classifier_that_is_shown_all():
    app, whole = detector_model(), app_model_by_hand()
    cropped = replace(app.golden, preprocess=Preprocess(resolution=Resolution.square(6)))
    with pytest.raises(DataError, match="for --task detect shows the model whole photos, got a part"):
        ios_files(replace(app, golden=cropped))
    stretched = replace(whole.golden, preprocess=app.golden.preprocess)
    with pytest.raises(
        DataError, match="for --task classify shows the model the central part of photos, got whole ones"
    ):
        ios_files(replace(whole, golden=stretched))
