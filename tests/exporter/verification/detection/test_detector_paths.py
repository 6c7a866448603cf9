"""The kernel paths of detectors that a user names: what is compared, and what is told of one that fails."""

import json
import math

import numpy as np
import pytest
from detector_by_hand import PREPROCESS, detector_tflite, image_of
from detectors_by_hand import detector_json, detectors_json
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image

from mbexport.formats.registry import open_runner
from mbexport.formats.subject import DetectorSubject, Source
from mbexport.models.data.open import ImageSet
from mbexport.report.content import to_bytes
from mbexport.report.schema import detection_schema
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.detection.kernel_paths import detector_paths
from mbexport.verification.detection.pairs import Pair
from mbexport.verification.detection.serialize import pair_json, paths_json
from mbexport.verification.detection.values import path_paired
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import Verdict, judge
from mbexport.verification.measure_paths import PathChoice, named_paths, usual_paths

MICRO = "tflite-micro"
TASK = detector_paths()
REASONS = {
    "os.abort()": "tflite-micro crashed (SIGABRT), in a process of its own, with net_int8.tflite",
    "raise RuntimeError('an op is missing')": "an op is missing",
}


@pytest.fixture
def file_subject(tmp_path):
    path = tmp_path / "net_int8.tflite"
    path.write_bytes(detector_tflite())
    return DetectorSubject(runner=open_runner(path), preprocess=PREPROCESS, source=Source.OPTION)


@pytest.fixture(scope="module")
def images():
    """A hundred images with one object each, of another class and score from image to image."""
    drawn = [Image.fromarray(image_of([(place % 3, 0.4 + place / 200)])) for place in range(100)]
    names = tuple(f"{place}.png" for place in range(100))
    return ImageSet(labels=np.zeros(100, np.int64), names=names, read=drawn.__getitem__)


def written(found):
    """The entries as report.json has them; the schema has nothing against them."""
    entries = json.loads(to_bytes({"paths": [paths_json(each) for each in found]}))["paths"]
    schema = detection_schema()
    only = Draft202012Validator({**schema["$defs"]["paths"], "$defs": schema["$defs"]})
    assert [error.message for entry in entries for error in only.iter_errors(entry)] == []
    return entries


def test_usual_paths_have_neither_shares_nor_failures(file_subject, images):
    (entry,) = written([usual_paths(file_subject, TASK, images, PREPROCESS)])
    assert set(entry) == {"file", "images", "paths", "pairs"}
    assert (entry["images"], entry["paths"], len(entry["pairs"])) == (64, ["xnnpack", "builtin", "reference"], 3)
    assert not any("failure" in pair for pair in entry["pairs"])


def test_each_named_path_finds_the_objects_that_the_default_finds(file_subject, images, install_micro):
    install_micro()
    choice = PathChoice(names=("reference", MICRO, "optimized"))
    usual, micro = written(named_paths(file_subject, TASK, choice, images, PREPROCESS))
    assert (usual["images"], usual["paths"]) == (64, ["xnnpack", "reference"])
    assert (micro["images"], micro["paths"]) == (20, ["xnnpack", MICRO])
    for entry in (usual, micro):
        (pair,) = entry["pairs"]
        assert (pair["paired_count"], pair["paired_back_count"]) == (entry["images"], entry["images"])
        assert (pair["paired"], pair["paired_back"], pair["alike"]) == (1.0, 1.0, 1.0)
    assert [share["path"] for share in usual["shares"]] == ["reference"]
    (share,) = micro["shares"]
    assert (share["taken"] == share["total"], share["arena_bytes"]) == (True, 5 * 1024)


def test_the_number_of_images_is_the_users(file_subject, images, install_micro):
    install_micro()
    choice = PathChoice(names=("builtin", MICRO), images=7)
    assert [each.images for each in named_paths(file_subject, TASK, choice, images, PREPROCESS)] == [7, 7]


@pytest.mark.parametrize(("invoke", "reason"), REASONS.items())
def test_a_path_that_fails_fails_the_gate_of_paths_alone(file_subject, images, install_micro, invoke, reason):
    install_micro(invoke=invoke)
    choice = PathChoice(names=("builtin", MICRO))
    usual, failed = written(named_paths(file_subject, TASK, choice, images, PREPROCESS))
    assert usual["images"] == 64
    (pair,) = failed["pairs"]
    assert (failed["images"], failed["paths"], "shares" in failed) == (0, ["xnnpack", MICRO], False)
    assert reason in pair["failure"]
    assert (pair["paired"], pair["alike_ci95"], pair["paired_count"]) == (None, None, 0)
    measured = {**detectors_json(detector_json("net_int8.tflite")), "paths": [usual, failed]}
    *_, value = path_paired(measured)
    assert math.isnan(value.value)
    assert value.subject == "net_int8.tflite, xnnpack and tflite-micro"
    assert reason in value.reason
    gates = judge(gate_values(measured, DETECTION_GATES), {}, defaults={}, gates=DETECTION_GATES)
    assert [gate.name for gate in gates if gate.verdict is Verdict.FAIL] == ["path_paired"]


def test_what_a_path_gives_that_is_no_detection_is_a_failure(file_subject, images, install_micro):
    less = "self._litert.get_tensor(self._litert.get_output_details()[place]['index']) * 0 - 1"
    install_micro(invoke=f"self._litert.invoke(); self.get_output = lambda place: {less}")
    (failed,) = named_paths(file_subject, TASK, PathChoice(names=(MICRO,)), images, PREPROCESS)
    assert failed.pairs[0].failure.endswith("it must find from 0 to 10 objects, got -1")


@given(reason=st.text(min_size=1), a=st.sampled_from(["xnnpack", "optimized"]))
def test_nothing_is_known_of_any_pair_that_failed(reason, a):
    entry = pair_json(Pair.failed(a, MICRO, reason))
    assert (entry["a"], entry["b"], entry["failure"]) == (a, MICRO, reason)
    counts = {key: value for key, value in entry.items() if key.endswith("_count")}
    assert set(counts.values()) == {0}
    others = [value for key, value in entry.items() if key not in ("a", "b", "failure", *counts)]
    assert all(value is None or math.isnan(value) for value in others)
