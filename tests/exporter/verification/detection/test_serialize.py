"""What a report says of detectors: the keys of its schema, names, what is shown of many classes, what is not known."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from detection_scenes import changed, scenes
from detectors_by_hand import PAIRED, QUALITY, detector_json
from jsonschema import Draft202012Validator

from mbexport.formats.detection_tail import OUTPUTS, Decoding, DetectionTail
from mbexport.models.detection.boxes import Boxes
from mbexport.models.detection.settings import PostProcess
from mbexport.report.content import to_bytes
from mbexport.report.schema import detection_schema
from mbexport.verification.detection.pairs import pair_of
from mbexport.verification.detection.resampling import image_samples
from mbexport.verification.detection.serialize import comparison_json, pair_json, quality_json, reference_json
from mbexport.verification.detection.tails import TailCheck
from mbexport.verification.detection.tails_json import (
    anchors_json,
    output_json,
    tail_json,
    tails_conflict,
    twins_conflict,
)

DRAWN = scenes(4, images=20)
NAMES = ("RBC", "WBC", "platelet")
OTHERS = {"file", "format", "precision", "runtime", "size_bytes", "sha256", "input", "output", "anchors", "tail"}
MEASURED_BESIDE = OTHERS | {"labels_matched", "labels_problem", "kernels"}
TIMES = {"latency_ms", "threads", "cold_start_ms", "peak_memory_bytes", "throughput"}


def objections(name: str, value: object) -> list[str]:
    """What the schema's definition of that name has against a value, as it is written."""
    schema = detection_schema()
    only = {**schema["$defs"][name], "$defs": schema["$defs"]}
    written = json.loads(to_bytes({"value": value}))["value"]
    return [f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(only).iter_errors(written)]


@pytest.fixture(scope="module")
def verification(verified):
    return verified(DRAWN, changed(DRAWN.detections, 0, by=0.03), reference=DRAWN.detections)


def test_an_artifact_has_the_keys_of_the_schema(verification):
    (one,) = verification.artifacts
    entry = comparison_json(one, NAMES, verification.reference)
    assert set(entry) == set(detector_json("a_int8.tflite")) - MEASURED_BESIDE - TIMES
    assert objections("artifact", {**detector_json("a_int8.tflite"), **entry}) == []
    assert entry["ap_drop"] == one.drop.ap
    assert [row["label"] for row in entry["per_class"]] == list(NAMES)
    worst = entry["worst_images"][0]
    assert worst["lost"] == sum(not box["paired"] for box in worst["reference"]) > 0


def test_the_reference_and_pairs_have_the_keys_of_the_schema(verification):
    known = {"name": "float", "precision": "fp32", "labelled": True}
    reference = known | reference_json(verification, NAMES)
    assert set(QUALITY) < set(reference)
    assert objections("reference", reference) == []
    pair = pair_json(pair_of("a", "b", DRAWN.detections, changed(DRAWN.detections, 0), image_samples(20)))
    assert set(PAIRED) < set(pair)
    untimed = {"is_twin": True, "conflict": None, "latency_ratio": None, "latency_ratio_ci95": None}
    assert objections("pair", pair | untimed) == []


def test_beside_labels_what_compares_is_not_known(verified):
    found = verified(DRAWN, DRAWN.detections, reference=None)
    entry = comparison_json(found.artifacts[0], NAMES, None)
    assert entry["ap_drop"] is entry["ap_drop_ci95"] is entry["paired_ci95"] is None
    assert math.isnan(entry["paired"])
    assert objections("artifact", {**detector_json("a_int8.tflite"), **entry}) == []
    reference = {"name": "labels", "precision": None, "labelled": True, **reference_json(found, NAMES)}
    assert objections("reference", reference) == []


def test_of_many_classes_those_that_lost_most_are_shown(verified):
    drawn = scenes(0, images=40, classes=30, objects=20)
    found = verified(drawn, changed(drawn.detections, 0, by=0.05), reference=drawn.detections, classes=30)
    rows = comparison_json(found.artifacts[0], [f"class {n}" for n in range(30)], found.reference)["per_class"]
    lost = [row["reference_ap"] - row["ap"] for row in rows]
    assert len(rows) == 10
    assert lost == sorted(lost, reverse=True)
    every = found.reference.precision.per_class - found.artifacts[0].quality.precision.per_class
    assert lost == pytest.approx(np.sort(every)[::-1][:10])


def tail(**settings) -> DetectionTail:
    anchors = np.array([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.9, 0.9]], np.float32)
    return DetectionTail(
        anchors=anchors, code_scales=(10, 10, 5, 5), classes=3, settings=PostProcess(**settings), maps=1
    )


def checked(given: DetectionTail) -> TailCheck:
    return TailCheck(tail=given, images=64, alike=1.0, alike_ci95=(0.94, 1.0))


def test_objects_without_an_anchor_by_hand():
    truth = [
        Boxes.of([[0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 0.1, 0.1]], [0, 0]),
        Boxes.of([[0, 0, 1, 1], [0.7, 0.7, 0.8, 0.8]], [0, 0], [False, True]),  # the difficult one is not asked for
    ]
    found = anchors_json({"a": tail(), "b": tail()}, truth)
    assert found["a"] == found["b"]
    assert (found["a"]["count"], found["a"]["objects"], found["a"]["uncovered"]) == (2, 3, pytest.approx(1 / 3))
    assert objections("anchors", found["a"]) == []
    assert objections("anchors", anchors_json({"a": tail()}, [])["a"]) == []


def test_tails_that_differ():
    assert tails_conflict(tail(), tail()) is None
    other = tail(score_threshold=0.5, max_detections=10)
    said = "their tails differ: score threshold 0.01 beside 0.5, max detections 100 beside 10"
    assert tails_conflict(tail(), other) == twins_conflict(tail(), other) == said
    moved = tail()
    moved.anchors[0, 0] = 0.4
    assert tails_conflict(tail(), moved) == "their tails differ: other anchors"
    assert tails_conflict(tail(), replace(tail(), code_scales=(5, 5, 10, 10))) == "their tails differ: other anchors"


def test_of_twins_neither_may_end_otherwise():
    assert twins_conflict(None, None) is None
    said = "their tails differ: one of them ends as our converter has it, the other does not"
    assert twins_conflict(None, tail()) == twins_conflict(tail(), None) == said


def test_raw_heads_have_anchors_alone_that_could_differ():
    def raw(anchors) -> Decoding:
        return Decoding(anchors=anchors, code_scales=(10, 10, 5, 5), classes=3)

    assert tails_conflict(tail(score_threshold=0.5), raw(tail().anchors)) is None
    assert tails_conflict(raw(tail().anchors * np.float32(0.5)), tail()) == "their tails differ: other anchors"
    assert anchors_json({"a": raw(tail().anchors)}, []) == anchors_json({"a": tail()}, [])


def test_thresholds_in_words_that_are_not_those_of_the_tail():
    def said(**words):
        subject = SimpleNamespace(
            detector=SimpleNamespace(most=100, names=OUTPUTS),
            is_raw=False,
            runner=SimpleNamespace(outputs=[SimpleNamespace(dtype="float32")], metadata=lambda: words),
        )
        return output_json(subject, checked(tail()))

    right = said(**tail().properties)
    assert (right["score_threshold"], right["iou_threshold"], right["conflict"]) == (0.01, 0.6, None)
    assert objections("output", right) == []
    assert said(producer="somebody")["conflict"] is None
    wrong = said(**{**tail().properties, "detection.score_threshold": "0.5"})
    assert wrong["conflict"] == "its words are not what it has: detection.score_threshold 0.5 beside 0.01"


def test_a_tail_that_was_not_timed():
    assert tail_json(None, tail()) is None
    found = tail_json(checked(tail()), None)
    assert found["network_ms"] is found["same_as_reference"] is found["conflict"] is None
    assert objections("tail", found) == []


def test_a_tail_beside_the_reference_s():
    same, other = (tail_json(checked(tail()), each) for each in (tail(), tail(iou_threshold=0.5)))
    assert (same["same_as_reference"], same["conflict"]) == (True, None)
    assert (other["same_as_reference"], other["conflict"]) == (
        False,
        "their tails differ: iou threshold 0.6 beside 0.5",
    )
    assert objections("tail", same) == objections("tail", other) == []


def test_a_reference_of_many_images_has_a_curve_of_101_points(verification):
    curve = quality_json(verification.reference)["curve"]
    assert len(curve) == 101
    assert curve == sorted(curve, reverse=True)
