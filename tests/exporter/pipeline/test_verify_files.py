"""Files that are verified without TensorFlow: beside the labels alone, of one name in two folders, twice over."""

import json
import shutil

import pytest
from report_schema import objections

from mbexport.errors import DataError
from mbexport.formats.runner import distinct_names
from mbexport.models.data.open import open_data
from mbexport.models.preprocess import UNIT
from mbexport.pipeline.verify_files import VerifyOptions, verify_files
from mbexport.progress import Silent
from mbexport.report.job_summary import markdown
from mbexport.report.page.render import page

COMPARISONS = ("agreement", "agreement_ci95", "difference", "max_abs_error", "score_error", "score_error_ci95", "lsb")


@pytest.fixture
def verified(colour_network, tmp_path):
    """Verifies copies of a small network, called so, on digits."""
    network = colour_network(tmp_path / "network.onnx")

    def verify(*names: str, out=None, **given):
        files = []
        for name in names:
            files.append(tmp_path / name)
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(network, files[-1])
        options = VerifyOptions(
            **{"files": tuple(files), "limits": {}, "normalization": UNIT, "latency": False, **given}
        )
        return verify_files(options, open_data("digits"), out=out, progress=Silent())

    return verify


def test_one_file_is_held_against_the_labels(verified, tmp_path):
    report = verified("one.onnx", limits={"top1": 0.7}, out=tmp_path / "out")
    assert objections(report) == []
    reference, (entry,) = report["reference"], report["artifacts"]
    assert (reference["name"], reference["precision"], reference["labelled"]) == ("the labels of digits", None, True)
    assert (reference["top1"], reference["samples"], reference["classes_seen"]) == (None, 450, 10)
    assert (report["model"]["reference"], report["model"]["name"]) == (None, "one.onnx")
    assert 0 < entry["top1"] < 0.7
    assert {entry[name] for name in COMPARISONS} == {None}
    assert entry["disagreements"]["count"] == round((1 - entry["top1"]) * 450)
    gates = {gate["name"]: gate for gate in report["gates"]}
    assert {"samples", "classes", "above_chance", "top1", "distinct_outputs"} <= set(gates)
    assert not {"fp32_error", "agreement", "top1_drop", "score_error"} & set(gates)
    assert (gates["top1"]["verdict"], gates["top1"]["subject"]) == ("fail", "one.onnx")
    assert gates["above_chance"]["subject"] == "one.onnx"


def test_what_labels_leave_out_is_said_on_every_page(verified):
    report = verified("one.onnx")
    said = "gates that compare with a network are left out (fp32_error, score_error, top1_drop, agreement)"
    assert said in markdown(report).replace("\\_", "_")
    assert said in page(report, {}).decode()


def test_what_labels_leave_out_is_said_on_the_terminal(cli, colour_network, tmp_path):
    done = cli(
        *("verify", colour_network(tmp_path / "one.onnx"), "--data", "digits", "--preprocess", "unit", "--no-latency"),
        *("--gate", "top1=0.01"),
    )
    lines = done.stdout.splitlines()
    assert lines[1].startswith(
        "reference: the labels of digits, 450 images; gates that compare with a network are left"
    )
    assert "agreement" not in "".join(lines[4:])
    assert "WARNING: one.onnx: it holds no labels" in done.stderr


def test_one_file_beside_another_is_compared(verified):
    report = verified("one.onnx", "other.onnx")
    assert (report["reference"]["name"], report["reference"]["precision"]) == ("one.onnx", "fp32")
    assert [entry["agreement"] for entry in report["artifacts"]] == [1.0, 1.0]
    assert objections(report) == []


def test_two_files_of_one_name_are_told_apart_by_their_folders(verified):
    report = verified("a/model.onnx", "b/model.onnx", "c.onnx")
    assert [entry["file"] for entry in report["artifacts"]] == ["a/model.onnx", "b/model.onnx", "c.onnx"]
    assert report["reference"]["name"] == "a/model.onnx"
    assert objections(report) == []


def test_a_reference_of_the_same_name_is_told_apart_too(verified, colour_network, tmp_path):
    (tmp_path / "float").mkdir()
    reference = colour_network(tmp_path / "float" / "model.onnx")
    report = verified("int/model.onnx", reference=reference)
    assert (report["reference"]["name"], report["artifacts"][0]["file"]) == ("float/model.onnx", "model.onnx")
    assert verified("one.onnx", reference=tmp_path / "one.onnx")["reference"]["name"] == "one.onnx"


def test_the_same_files_and_images_give_the_same_report(verified):
    assert json.dumps(verified("a/m.onnx", "b/m.onnx")) == json.dumps(verified("a/m.onnx", "b/m.onnx"))


def test_names_by_hand(tmp_path):
    paths = [tmp_path / name for name in ("x/a/m.tflite", "y/a/m.tflite", "y/b/m.tflite", "b/n.tflite")]
    assert distinct_names(paths) == ("x/a/m.tflite", "y/a/m.tflite", "b/m.tflite", "n.tflite")
    assert distinct_names([]) == ()
    with pytest.raises(DataError, match="must be given once, got"):
        distinct_names([*paths, paths[0]])


def test_a_file_given_twice_is_refused(verified):
    with pytest.raises(DataError, match=r"must be given once, got .*one\.onnx twice"):
        verified("one.onnx", "one.onnx")
