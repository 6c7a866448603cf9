"""The four files of a small detector, beside its float network, beside labels, and with faults of every kind."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from small_ssd import LABELS, PREPROCESS, onnx_of, pixels, small_ssd, tail, tflite_of

from mbexport.artifact import Precision
from mbexport.errors import DataError
from mbexport.formats.matching import match_detector
from mbexport.formats.registry import open_runner
from mbexport.models.data.boxes.boxed import BoxedImages
from mbexport.models.data.open import ImageSet
from mbexport.models.detection.boxes import Boxes
from mbexport.models.detection.postprocess import detect_batch
from mbexport.models.detection.settings import PostProcess
from mbexport.progress import Silent
from mbexport.report.content import to_bytes
from mbexport.report.schema import detection_schema
from mbexport.verification.detection import tails
from mbexport.verification.detection.baseline import Baseline
from mbexport.verification.detection.gates import DETECTION_GATES
from mbexport.verification.detection.measure import Measurements, MeasureOptions, measure_detection
from mbexport.verification.gates import gate_values
from mbexport.verification.judge import Verdict, judge

pytestmark = pytest.mark.run

FILES = {
    "small_fp32.tflite": lambda: tflite_of(Precision.FP32),
    "small_int8.tflite": lambda: tflite_of(Precision.INT8),
    "small_fp32.onnx": lambda: onnx_of(Precision.FP32),
    "small_int8.onnx": lambda: onnx_of(Precision.INT8),
}


def found_by_network(images):
    """What the Keras network finds."""
    outputs = small_ssd().predict_on_batch(PREPROCESS.normalize(images))
    return detect_batch(outputs, tail().anchors, tail().code_scales, tail().settings)


FLOAT = Baseline(name="Keras, float", detections=found_by_network)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    for name, make in FILES.items():
        (folder / name).write_bytes(make())
    return folder


@pytest.fixture(scope="module")
def boxed() -> BoxedImages:
    """Images that are turned round, too, with what the float network finds in them as their objects."""
    content = np.concatenate([pixels(), pixels()[:, ::-1], pixels()[:, :, ::-1]])
    images = ImageSet(
        labels=np.zeros(len(content), np.int64),
        names=tuple(f"{place}.png" for place in range(len(content))),
        read=lambda place: Image.fromarray(content[place]),
    )
    return BoxedImages(
        images=images, boxes=tuple(Boxes.of(each.corners, each.classes) for each in found_by_network(content))
    )


@pytest.fixture(scope="module")
def measure(folder, boxed):
    """Measures files of the folder."""

    def measured(*names: str, reference: Baseline = FLOAT, **options) -> Measurements:
        subjects = [match_detector(open_runner(folder / name), pixels=PREPROCESS, given=None) for name in names]
        given = MeasureOptions(**{"labels": LABELS, "is_timed": False, **options})
        return measure_detection(subjects, boxed, PREPROCESS, reference, given, progress=Silent())

    return measured


def failed(found: Measurements, **limits: float) -> dict[str, str | None]:
    """The gates that failed, with their reasons; sizes and margins are no part of what is tried here."""
    usual = {"size_ratio": 1.0, "ap_drop": 0.2, "paired": 0.7}
    written = json.loads(to_bytes(found.measured))
    gates = judge(gate_values(written, DETECTION_GATES), usual | limits, defaults={}, gates=DETECTION_GATES)
    return {gate.name: gate.reason for gate in gates if gate.verdict is Verdict.FAIL and gate.value is not None}


@pytest.fixture(scope="module")
def four(measure) -> Measurements:
    return measure(*FILES)


def test_four_files_pass_and_are_told_of_as_the_schema_has_it(four):
    assert failed(four) == {}
    written = json.loads(to_bytes(four.measured))
    schema = detection_schema()
    for key in ("reference", "artifacts", "pairs", "paths", "speedups"):
        only = {**schema["properties"][key], "$defs": schema["$defs"]}
        assert [error.message for error in Draft202012Validator(only).iter_errors(written[key])] == []


def test_float_files_find_what_the_network_finds(four):
    for entry in four.measured["artifacts"]:
        assert entry["tail"]["alike"] == 1  # what the file's own ops make of its heads is what numpy makes of them
        assert entry["output"]["detections"] == tail().settings.max_detections
        assert entry["anchors"]["count"] == len(tail().anchors)
        if entry["precision"] == "fp32":
            assert (entry["ap"], entry["paired"], entry["paired_back"], entry["worst_images"]) == (1, 1, 1, [])
    assert [(pair["a"], pair["b"]) for pair in four.measured["pairs"]] == [
        ("small_fp32.tflite", "small_fp32.onnx"),
        ("small_int8.tflite", "small_int8.onnx"),
    ]
    assert [entry["file"] for entry in four.measured["paths"]] == ["small_int8.tflite", "small_int8.onnx"]


def test_the_worst_images_have_pictures(four):
    worst = {one["image"] for entry in four.measured["artifacts"] for one in entry["worst_images"]}
    assert worst == set(four.pictures) != set()
    with Image.open(io.BytesIO(next(iter(four.pictures.values())))) as image:
        assert image.size == (32, 32)


def test_beside_labels_alone(measure):
    found = measure("small_int8.tflite", reference=Baseline(name="the labels"))
    (entry,) = found.measured["artifacts"]
    assert found.measured["reference"]["precision"] is entry["ap_drop"] is None
    assert entry["ap50"] > 0.8
    assert failed(found) == {}


def test_latencies_with_and_without_the_tail(measure):
    found = measure("small_fp32.tflite", "small_int8.tflite", is_timed=True).measured
    for entry in found["artifacts"]:
        assert entry["latency_ms"]["runs"] > 0
        assert entry["tail"]["network_ms"] > 0
        assert entry["tail"]["network_share_ci95"][0] <= entry["tail"]["network_share"]
    assert {(each["a"], each["b"]) for each in found["speedups"]} == {("small_fp32.tflite", "small_int8.tflite")}


def test_another_threshold_in_one_of_two_twins(folder, measure):
    other = replace(tail(), settings=PostProcess(score_threshold=0.6, max_detections=20))
    (folder / "twin_fp32.tflite").write_bytes(tflite_of(Precision.FP32))
    (folder / "twin_fp32.onnx").write_bytes(onnx_of(Precision.FP32, tail=other))
    found = failed(measure("twin_fp32.tflite", "twin_fp32.onnx"))
    assert found["twin_tails"] == "their tails differ: score threshold 0.3 beside 0.6"
    assert {"twin_paired", "fp32_paired"} <= set(found)


def test_a_tail_that_is_not_what_its_heads_stand_for(measure, monkeypatch):
    monkeypatch.setattr(
        tails, "detect_batch", lambda *given: [each.take(each.scores < 0.5) for each in detect_batch(*given)]
    )
    assert set(failed(measure("small_fp32.onnx"))) == {"tail_alike"}


def test_anchors_of_another_size(folder, measure):
    wide = tail().anchors * np.float32([1, 1, 1.3, 1.3])
    (folder / "wide_fp32.onnx").write_bytes(onnx_of(Precision.FP32, tail=replace(tail(), anchors=wide)))
    assert "fp32_paired" in failed(measure("wide_fp32.onnx"))


def test_swapped_coordinates(folder, measure):
    turned = tail().anchors[:, [1, 0, 3, 2]]
    (folder / "turned_fp32.onnx").write_bytes(onnx_of(Precision.FP32, tail=replace(tail(), anchors=turned)))
    assert "fp32_paired" in failed(measure("turned_fp32.onnx"))


def test_classes_that_are_off_by_one(measure):
    found = measure("small_int8.tflite", labels=("white", "platelet", "red"))
    assert set(failed(found)) == {"labels"}

    def shifted(images):
        return [replace(each, classes=(each.classes + 1) % 3) for each in found_by_network(images)]

    others = measure("small_fp32.onnx", reference=Baseline(name="shifted", detections=shifted))
    assert {"fp32_paired", "above_chance"} <= set(failed(others))


def test_a_file_that_is_given_twice_is_refused(measure):
    with pytest.raises(DataError, match=r"each artifact must be given once, got .*small_int8\.tflite twice"):
        measure("small_int8.tflite", "small_int8.tflite")
