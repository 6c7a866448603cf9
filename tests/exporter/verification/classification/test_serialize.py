"""A comparison in report.json: the keys of the contract, and numbers computed by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from mbexport.calibration.affine import Affine
from mbexport.report.content import to_bytes
from mbexport.verification.classification.kernel_paths import PathPair
from mbexport.verification.classification.serialize import accuracy_json, baseline_json, pair_json, paths_json
from mbexport.verification.kernel_paths import Paths

EXAMPLE = json.loads((Path(__file__).parents[2] / "report" / "example_report.json").read_bytes())
UINT8_SCORES = Affine(scale=(1 / 256,), zero_point=(0,))
NOT_OF_A_COMPARISON = {
    *("file", "format", "precision", "runtime", "size_bytes", "sha256", "input", "output", "latency_ms", "threads"),
    *("cold_start_ms", "peak_memory_bytes", "throughput", "kernels", "labels_matched"),
}


def shape_of(value):
    """The keys of `value` all the way down; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [shape_of(value[0])]
    return None


@pytest.fixture
def two(table_runner, verified):
    """Two artifacts with the same codes: a is wrong on image 1, b nowhere."""
    a = np.array([[200, 56, 0], [90, 166, 0], [0, 0, 255]], np.uint8)
    b = np.array([[200, 56, 0], [156, 100, 0], [0, 0, 255]], np.uint8)
    runners = [table_runner("a.tflite", a, UINT8_SCORES), table_runner("a.onnx", b, UINT8_SCORES)]
    return verified(runners, [0, 0, 2], reference=b / 256)


def test_artifact_has_the_keys_of_the_contract(two):
    (example,) = [entry for entry in EXAMPLE["artifacts"] if entry["file"].endswith("0.75_224_int8.tflite")]
    expected = {key: value for key, value in example.items() if key not in NOT_OF_A_COMPARISON}
    found = accuracy_json(two.artifacts[0], ["cat", "dog", "emu"])
    assert found.pop("score_error") == pytest.approx(66 / 256 / 3)  # reports of older versions have neither
    assert len(found.pop("score_error_ci95")) == 2
    assert shape_of(json.loads(to_bytes(found))) == shape_of(expected)
    assert baseline_json(two.reference).items() <= accuracy_json(two.reference, []).items()


def test_artifact_by_hand(two):
    found = accuracy_json(two.artifacts[0], ["cat", "dog", "emu"])
    cat = {"class": 0, "label": "cat", "images": 2, "reference_right": 2, "right": 1}
    emu = {"class": 2, "label": "emu", "images": 1, "reference_right": 1, "right": 1}
    assert (found["per_class"], found["worst_classes"]) == ([cat, emu], [cat])
    (confusion,) = found["confusions"]
    said = {"class": 0, "label": "cat", "answer": 1, "answer_label": "dog", "count": 1, "reference_count": 0}
    assert confusion == said
    assert found["disagreements"]["count"] == 1
    (worst,) = found["disagreements"]["worst"]
    assert (worst["image"], worst["label"], worst["reference"], worst["artifact"]) == ("1.png", "cat", "cat", "dog")
    assert (worst["reference_score"], worst["artifact_score"]) == (156 / 256, 166 / 256)
    assert worst["severity"] == 66 / 256
    assert (found["difference"]["top1_drop"], found["difference"]["only_reference_right"]) == (1 / 3, 1)
    assert found["lsb"]["max"] == 66.0


def test_pair_has_the_keys_of_the_contract(two):
    (found,) = [pair_json(pair) for pair in two.pairs]
    assert {**EXAMPLE["pairs"][0], **found}.keys() - {"latency_ratio", "latency_ratio_ci95"} == found.keys()
    assert (found["is_twin"], found["max_lsb"], found["mean_lsb"]) == (True, 66, pytest.approx(132 / 9))


def test_paths_have_the_keys_of_the_contract():
    pair = PathPair(a="x", b="y", agreement=0.5, agreement_ci95=(0.1, 0.9), max_lsb=3, max_abs_error=0.25)
    found = paths_json(Paths(file="m", images=2, names=("x", "y"), pairs=(pair,)))
    assert shape_of(found) == shape_of(EXAMPLE["paths"][0])
    assert found["pairs"][0]["agreement_ci95"] == [0.1, 0.9]


def test_classes_without_names_are_numbers_and_no_answer_has_a_label(table_runner, verified):
    scores = np.array([[np.nan, 0, 1], [0, 0, 1]], np.float32)
    found = verified([table_runner("a", scores)], [0, 1], reference=[[1, 0, 0], [0, 1, 0]])
    said = accuracy_json(found.artifacts[0], ["cat"])["disagreements"]["worst"]
    assert [(one["label"], one["reference"], one["artifact"]) for one in said] == [
        ("cat", "cat", "no answer"),
        ("1", "1", "2"),
    ]


def test_without_labels_the_report_has_null(table_runner, verified, one_hot):
    found = verified([table_runner("a", one_hot(0, 1))], [0, 1], reference=one_hot(1, 1), is_labelled=False)
    said = json.loads(to_bytes(accuracy_json(found.artifacts[0], [])))
    assert (said["top1"], said["top1_ci95"], said["top5"], said["difference"]) == (None, None, None, None)
    assert (said["per_class"], said["worst_classes"], said["confusions"]) == ([], [], [])
    assert [one["label"] for one in said["disagreements"]["worst"]] == [None]
    assert said["agreement"] == 0.5
