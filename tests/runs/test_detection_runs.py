"""A whole build of a detector: photos with boxes, six files, a verdict; again, elsewhere, and by `verify`."""

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from command_line import run_in_its_own_process
from delivered import repeating
from small_shapes import Shapes, build_shapes

from mbexport.report.schema import detection_schema

pytestmark = pytest.mark.run

FILES = ("fp32.tflite", "fp32.onnx", "fp32_raw.tflite", "int8.tflite", "int8.onnx", "int8_raw.tflite")
STEM = "ssd_mobilenet_v1_stride8_0.25_96_"


@pytest.fixture(scope="module")
def shapes(small_shapes) -> Shapes:
    return small_shapes


@pytest.fixture(scope="module")
def built(shapes, tmp_path_factory) -> Path:
    """A copy of the build, which may be written into."""
    return shutil.copytree(shapes.build, tmp_path_factory.mktemp("built") / "out")


def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_bytes())


def entries_of(found: dict) -> dict[str, dict]:
    """The entries of a report by what their files' names end in."""
    return {entry["file"].removeprefix(STEM): entry for entry in found["artifacts"]}


def test_six_files_find_what_was_drawn(built):
    found = report(built)
    jsonschema.validate(found, detection_schema())
    assert found["reference"]["ap50"] > 0.5
    entries = entries_of(found)
    assert tuple(entries) == FILES
    for entry in entries.values():
        assert entry["ap50"] > 0.5
        assert entry["inside"] == 1
        assert entry["labels_matched"] == 1
    assert all(entry["kernels"]["float_convs"] == 0 for entry in entries.values() if entry["precision"] == "int8")


def test_raw_heads_find_what_the_files_find_that_make_boxes_of_them(built):
    found = report(built)
    entries = entries_of(found)
    assert [name for name, entry in entries.items() if entry["output"]["raw"]] == ["fp32_raw.tflite", "int8_raw.tflite"]
    for precision, dtype in (("fp32", "float32"), ("int8", "uint8")):
        raw, usual = entries[f"{precision}_raw.tflite"], entries[f"{precision}.tflite"]
        assert raw["output"]["dtype"] == dtype
        assert (raw["tail"], raw["anchors"]) == (None, usual["anchors"])
        (pair,) = (each for each in found["pairs"] if each["b"] == raw["file"])
        assert (pair["a"], pair["conflict"]) == (usual["file"], None)
        assert min(pair["paired"], pair["paired_back"]) > 0.95
    assert entries["fp32_raw.tflite"]["ap"] == pytest.approx(entries["fp32.tflite"]["ap"], abs=0.005)


def test_raw_heads_are_listed_and_are_in_no_bundle(built):
    raw = [path.name for path in built.iterdir() if path.name.endswith("_raw.tflite")]
    assert len(raw) == 2
    manifest = json.loads((built / "manifest.json").read_bytes())
    assert manifest["options"]["raw-heads"] is True
    assert set(raw) <= set(manifest["files"])
    for name in raw:
        for told in ("sbom.cdx.json", "MODEL_CARD.md"):
            assert name in (built / told).read_text()
        assert name.removeprefix(STEM) in (built / "report.html").read_text()  # which says the stem once
        assert name not in (built / "golden" / "golden.json").read_text()
    assert not [path for folder in ("android", "golden", "ios") for path in (built / folder).rglob("*_raw*")]


def test_one_file_with_raw_heads_is_judged_and_looked_into(shapes, built):
    (raw,) = built.glob("*_int8_raw.tflite")
    (reference,) = built.glob("*_fp32.tflite")
    given = ("--reference", reference, "--data", shapes.photos, "--no-latency", "--json")
    done = run_in_its_own_process("verify", raw, *given)
    assert done.returncode in (0, 1), done.stderr
    (entry,) = json.loads(done.stdout)["artifacts"]
    assert entry["ap"] == entries_of(report(built))["int8_raw.tflite"]["ap"]
    assert entry["paired"] > 0.8
    looked = run_in_its_own_process("inspect", raw)
    assert looked.returncode == 0, looked.stderr
    assert "image -> location, score" in looked.stdout
    assert "custom metadata = DETECTOR_METADATA" in looked.stdout


@pytest.mark.parametrize(
    "name",
    ["fp32_paired", "twin_paired", "twin_tails", "tail_alike", "boxes_inside", "labels", "int8_convs", "int8_io"],
)
def test_no_gate_fails_that_does_not_depend_on_so_few_images(built, name):
    gates = {gate["name"]: gate["verdict"] for gate in report(built)["gates"]}
    assert gates[name] in ("pass", "undecided")


def test_everything_around_the_files_is_delivered(built):
    names = {path.name for path in built.iterdir()}
    assert {"golden", "android", "ios"} <= names
    assert {"labels.txt", "report.html", "junit.xml", "MODEL_CARD.md", "manifest.json"} <= names
    assert (built / "labels.txt").read_text() == "blue\nred\n"
    checked = run_in_its_own_process("bundle", "--check", built)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_second_run_reuses_every_stage(shapes, built):
    before = repeating(built)
    code, errors = build_shapes(shapes, built)
    assert code in (0, 1)
    stages = report(built)["stages"]
    assert all(stage["reused"] for stage in stages), errors
    assert [stage["name"] for stage in stages][:4] == ["check-images", "train", "keras", "calibrate"]
    assert repeating(built) == before


def test_another_folder_gets_the_same_bytes(shapes, built, tmp_path):
    code, errors = build_shapes(shapes, tmp_path / "again")
    assert code in (0, 1), errors
    assert repeating(tmp_path / "again") == repeating(built)


def test_verify_judges_the_files_as_the_build_did(shapes, built):
    files = sorted(str(path) for path in built.iterdir() if path.suffix in (".tflite", ".onnx"))
    done = run_in_its_own_process("verify", *files, "--data", shapes.photos, "--no-latency", "--json")
    assert done.returncode in (0, 1), done.stderr
    found, own = json.loads(done.stdout), report(built)
    judged = {Path(entry["file"]).name: entry["ap"] for entry in found["artifacts"]}
    assert judged == {entry["file"]: entry["ap"] for entry in own["artifacts"]}


def test_a_classifier_is_no_detector(shapes, built, small_build):
    (classifier,) = small_build.glob("*_int8.tflite")
    done = run_in_its_own_process("verify", classifier, "--data", shapes.photos, "--no-latency")
    assert done.returncode == 2
    assert "a detector must give boxes (1, n, 4), classes (1, n), scores (1, n) and their number (1,)" in done.stderr


def test_a_detector_is_no_classifier(built):
    (detector,) = built.glob("*_int8.tflite")
    done = run_in_its_own_process("verify", detector, "--data", "digits", "--no-latency")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith("is a detector: --data must be a folder of images with boxes, got digits, which has none")
