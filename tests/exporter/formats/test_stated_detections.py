"""What a detector's file says of its outputs in words, beside what it gives: both formats, and words of others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mbexport.artifact import TensorSpec
from mbexport.formats.description import Description
from mbexport.formats.detection_tail import OUTPUTS, DetectionTail
from mbexport.formats.detector import Detector
from mbexport.formats.stated_detections import SIDES, detections_conflict
from mbexport.formats.tflite import detection_metadata
from mbexport.formats.tflite.metadata import read_words, words
from mbexport.models.detection.settings import PostProcess
from mbexport.models.facts import Output
from mbexport.models.resolution import Resolution

SHAPES = {"location": (1, 5, 4), "category": (1, 5), "score": (1, 5), "number of detections": (1,)}
IMAGE = TensorSpec(name="image", shape=(1, 2, 2, 3), dtype="float32")
TAIL = DetectionTail(
    anchors=np.full((1, 4), 0.5, np.float32),
    code_scales=(10.0, 10.0, 5.0, 5.0),
    classes=2,
    settings=PostProcess(max_detections=5),
    maps=1,
)


def target(name: str) -> TensorSpec:
    return TensorSpec(name=name, shape=SHAPES[name], dtype="float32")


def detector(*names: str) -> Detector:
    """A file with these outputs, in this order."""
    runner: Any = SimpleNamespace(path=Path("net.tflite"), batch=1, outputs=tuple(map(target, names or OUTPUTS)))
    return Detector(runner)


def told() -> dict[str, str]:
    """What the metadata of a .tflite with the four outputs say."""
    description = Description(
        name="net",
        text="",
        labels=("a", "b"),
        resolution=Resolution.square(2),
        channels=3,
        mean=(127.5,),
        std=(127.5,),
        output=Output.SIGMOID,
    )
    return read_words(words(description, IMAGE, list(map(target, OUTPUTS))))


def test_what_we_write_is_right():
    assert told()["output 1 box"] == SIDES
    assert detections_conflict(told(), detector(), TAIL) is None
    assert detections_conflict(TAIL.properties, detector(), TAIL) is None


def test_others_words_and_none_are_no_conflict():
    for said in ({}, {"output 1": "detection_boxes: boxes"}, {"output 2": "probability: how sure it is"}):
        assert detections_conflict(said, detector(), None) is None


def test_sides_in_another_order_are_named(monkeypatch):
    monkeypatch.setattr(detection_metadata, "_SIDES", (0, 1, 2, 3))
    said = f"its words are not what it has: boxes of left, top, right, bottom in fractions beside {SIDES}"
    assert detections_conflict(told(), detector(), TAIL) == said


@given(st.permutations(OUTPUTS))
def test_outputs_that_are_called_as_another_are_named(order):
    found = detections_conflict(told(), detector(*order), TAIL)
    wrong = [
        f"output {number} as {said} beside {name}"
        for number, (said, name) in enumerate(zip(OUTPUTS, order, strict=True), start=1)
        if said != name
    ]
    boxes = [each for each in (found or "").removeprefix("its words are not what it has: ").split(", ") if each]
    assert [each for each in boxes if each.startswith("output")] == wrong


def test_thresholds_in_words_that_are_not_the_tail_s():
    said = {**TAIL.properties, "detection.score_threshold": "0.5"}
    assert detections_conflict(said, detector(), TAIL) == (
        "its words are not what it has: detection.score_threshold 0.5 beside 0.01"
    )
    assert detections_conflict(said, detector(), None) is None
