"""The iOS bundle: its files, their content, and the models that it refuses."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from detector_photos import detector_model
from golden_by_hand import LABELS, MODEL, app_model_by_hand

from mbexport.bundles.ios.bundle import ios_files
from mbexport.errors import DataError
from mbexport.golden.vectors import golden_from_bytes
from mbexport.models.preprocess import Normalization, Preprocess
from mbexport.models.resolution import Resolution

NAME = "MobilenetV1_0_25_32"
SOURCES, TESTS = f"Sources/{NAME}", f"Tests/{NAME}Tests"
HOSTILE = "\"'\\ #{exit 3} \\(Settings.model) `ls` {{ name }}"
# Enough of CocoaPods to hear what a podspec says.
POD = """
require 'json'
class Told
  def initialize; @told = {}; end
  attr_reader :told
  def ios; self; end
  def test_spec(name); inner = Told.new; yield inner; @told["test_spec #{name}"] = inner.told; end
  def dependency(*named); @told['dependency'] = named; end
  def method_missing(name, value); @told[name.to_s.chomp('=')] = value; end
  def respond_to_missing?(*) = true
end
module Pod; class Spec; def self.new; told = Told.new; yield told; $told = told.told; end; end; end
load ARGV[0]
print JSON.generate($told)
"""


def with_input(app, **changes):
    artifact = replace(app.artifact, input=replace(app.artifact.input, **changes))
    return replace(app, artifact=artifact)


def with_output(app, **changes):
    artifact = replace(app.artifact, output=replace(app.artifact.output, **changes))
    return replace(app, artifact=artifact)


def settings(app):
    return ios_files(app)[f"{SOURCES}/Settings.swift"].decode()


def test_the_files_of_a_package():
    made = ios_files(app_model_by_hand())

    swift = ("AppleImages", "Classifier", "ClassifierError", "Engine", "LiteRTEngine", "Pixels", "Preprocess")
    swift += ("Resampling", "Resources", "Score", "Settings", "TensorFlowLiteEngine")
    golden = ("golden.json", "case_0/raw.rgb", "case_0/resized.rgb", f"case_0/{MODEL}.out")
    assert set(made) == {
        "Package.swift",
        "README.md",
        f"{NAME}.podspec",
        *(f"{SOURCES}/{each}.swift" for each in swift),
        f"{SOURCES}/Resources/{MODEL}",
        f"{SOURCES}/Resources/labels.txt",
        f"{TESTS}/GoldenTests.swift",
        *(f"{TESTS}/golden/{each}" for each in golden),
    }
    assert made[f"{SOURCES}/Resources/labels.txt"] == b"cat\ndog\ntree\n"
    assert made[f"{SOURCES}/Resources/{MODEL}"] == b"TFL3 by hand"
    assert made == ios_files(app_model_by_hand())


def test_the_tests_are_of_the_shipped_artifact_alone():
    app = app_model_by_hand()
    other = replace(app.artifact, file="other.onnx", format="onnx")
    case = app.golden.cases[0]
    cases = (replace(case, expected={**case.expected, "other.onnx": case.expected[MODEL]}),)
    golden = replace(app.golden, artifacts=(other, app.artifact), cases=cases)
    files = {**app.golden_files, "case_0/other.onnx.out": b"1234"}

    made = ios_files(replace(app, golden=golden, golden_files=files))

    found = golden_from_bytes(made[f"{TESTS}/golden/golden.json"])
    assert found == app.golden
    assert not [name for name in made if "onnx" in name]


def test_a_file_whose_name_no_tool_takes_is_called_as_the_module():
    app = app_model_by_hand()
    case = app.golden.cases[0]
    odd = f'a "{MODEL}'
    expected = replace(case.expected[MODEL], output=f"case_0/{odd}.out")
    golden = replace(app.golden, cases=(replace(case, expected={odd: expected}),))
    files = {**app.golden_files, expected.output: app.golden_files[f"case_0/{MODEL}.out"]}
    artifact = replace(app.artifact, file=odd)

    made = ios_files(replace(app, artifact=artifact, golden=golden, golden_files=files))

    assert made[f"{SOURCES}/Resources/{NAME}.tflite"] == b"TFL3 by hand"
    assert made[f"{TESTS}/golden/case_0/{NAME}.tflite.out"] == bytes([20, 36, 200])
    assert f'model = "{NAME}.tflite"' in made[f"{SOURCES}/Settings.swift"].decode()
    assert set(golden_from_bytes(made[f"{TESTS}/golden/golden.json"]).cases[0].expected) == {f"{NAME}.tflite"}


def test_settings_are_those_of_the_model():
    """1/3 needs 16 digits to come back as the same number."""
    app = app_model_by_hand()
    norm = Normalization(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 3.0), is_bgr=True)
    preprocess = Preprocess(resolution=Resolution.square(48), crop_fraction=1 / 3, normalization=norm)
    app = replace(app, golden=replace(app.golden, preprocess=preprocess))
    app = with_input(app, dtype="float32", channel_order="BGR", mean=norm.mean, std=norm.std)
    app = with_output(app, dtype="int8", kind="logits", scale=0.1, zero_point=-128)

    told = " ".join(settings(app).split())

    assert "resolution: Size(height: 48, width: 48), cropFraction: 0.3333333333333333, channels: 3)" in told
    assert "element: .float32, isBlueFirst: true," in told
    assert "mean: [103.939, 116.779, 123.68], std: [1.0, 1.0, 3.0])" in told
    assert "affine: Affine? = Affine(scale: 0.1, zeroPoint: -128)" in told
    assert "output = Element.int8" in told
    assert "areLogits = true" in told


def test_codes_are_red_first_whatever_floats_are():
    told = settings(with_input(app_model_by_hand(), channel_order="BGR"))
    assert "element: .uint8, isBlueFirst: false," in told


def test_numbers_without_codes_have_no_scale():
    told = settings(with_output(app_model_by_hand(), dtype="float32", scale=None, zero_point=None))
    assert "affine: Affine? = nil" in told


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (with_input(app_model_by_hand(), dtype="int16"), "the input of .* must be uint8, int8, float32, got int16"),
        (with_output(app_model_by_hand(), dtype="int16"), "the output of .* must be uint8, int8, float32, got int16"),
        (with_input(app_model_by_hand(), layout="nchw"), "must be nhwc, got nchw"),
        (replace(app_model_by_hand(), labels=LABELS[:2]), "labels must be 3, one for each class, got 2"),
        (replace(app_model_by_hand(), labels=("a", "b\nc", "d")), "a label must be one line"),
        (replace(app_model_by_hand(), golden_files={}), "golden.json names case_0/raw.rgb, and there is no such file"),
    ],
)
def test_what_no_classifier_could_use_is_refused(app, message):
    with pytest.raises(DataError, match=message):
        ios_files(app)


def test_a_case_without_an_answer_is_refused():
    app = app_model_by_hand()
    case = replace(app.golden.cases[0], expected={})
    with pytest.raises(DataError, match=f"must hold an output of {MODEL} for case_0, got none"):
        ios_files(replace(app, golden=replace(app.golden, cases=(case,))))


def test_sources_name_no_machine_and_no_model():
    made = ios_files(app_model_by_hand())
    plain = [content.decode() for name, content in made.items() if name.endswith(".swift") and "Settings" not in name]
    assert not [text for text in plain if MODEL in text]
    assert len({name.casefold() for name in made}) == len(made)  # a Mac's disk does not tell A from a


def test_the_manifest_copies_no_folder_that_ios_refuses_to_sign():
    manifest = ios_files(app_model_by_hand())["Package.swift"].decode()
    assert manifest.startswith("// swift-tools-version:5.9\n")
    assert '.copy("Resources")' not in manifest
    assert '.process("Resources")' in manifest


def test_the_readme_shows_what_the_app_needs():
    readme = ios_files(app_model_by_hand())["README.md"].decode()
    for word in (f"import {NAME}", f"pod \"{NAME}\", :path => 'path/to/ios'", f"`{MODEL}`", "8.0 away", "`Apache-2.0`"):
        assert word in readme
    assert "not stated" in ios_files(without_licence())["README.md"].decode()


def without_licence():
    app = app_model_by_hand()
    return replace(app, golden=replace(app.golden, licence=None))


@pytest.mark.skipif(not shutil.which("ruby"), reason="ruby is not installed")
@pytest.mark.parametrize("licence", ["Apache-2.0", HOSTILE, None])
@pytest.mark.parametrize(("app", "name"), [(app_model_by_hand(), NAME), (detector_model(), "Net")])
def test_ruby_reads_the_podspec(app, name, licence, tmp_path):
    made = ios_files(replace(app, golden=replace(app.golden, licence=licence), version="1.2.3"))
    spec = tmp_path / f"{name}.podspec"
    spec.write_bytes(made[spec.name])

    done = subprocess.run(
        ["ruby", "-w", "-e", POD, spec], capture_output=True, text=True, check=True, timeout=60, encoding="utf-8"
    )

    told = json.loads(done.stdout)
    assert done.stderr == ""
    assert (told["name"], told["version"], told["dependency"]) == (name, "1.2.3", ["TensorFlowLiteC", "~> 2.17"])
    assert told["license"]["type"] == (licence or "Unstated")
    globs = [told["source_files"], *told["resource_bundles"][name], told["test_spec Tests"]["source_files"]]
    for glob in globs:
        assert [name for name in made if re.fullmatch(glob.replace("*", "[^/]+"), name)]
    assert any(name.startswith(told["test_spec Tests"]["resources"] + "/") for name in made)
